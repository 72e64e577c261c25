// SPDX-License-Identifier: Apache-2.0
// Numbers and foreign text as they are shown.

// Controls, what has no width, and what turns the direction of text: a name from the target could look like another.
const HIDDEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

/** Text from the target or its files with nothing in it that would not be seen: `\x1b` for an escape. */
export function visible(text) {
	return String(text ?? '').replace(HIDDEN, (each) => {
		const code = each.codePointAt(0);
		return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`;
	});
}

/** 0, 999, 1.2k, 34k, 5.6M: bytes and counts in columns. */
export function short(count) {
	if (!Number.isFinite(count)) {
		return '';
	}
	for (const [size, letter] of [[1e9, 'G'], [1e6, 'M'], [1e3, 'k']]) {
		if (count >= size) {
			return `${(count / size).toFixed(count < 10 * size ? 1 : 0)}${letter}`;
		}
	}
	return String(Math.round(count));
}

/** A size of memory as kernel people write it: 512, 4K, 1.5M. */
export function memory(size) {
	for (const [unit, letter] of [[2 ** 30, 'G'], [2 ** 20, 'M'], [2 ** 10, 'K']]) {
		if (size >= unit) {
			return `${Number((size / unit).toFixed(1))}${letter}`;
		}
	}
	return String(size);
}

/** The time of day of seconds since the epoch, to the millisecond. */
export function clock(seconds) {
	const date = new Date(seconds * 1000);
	const two = (number) => String(number).padStart(2, '0');
	const ms = String(date.getMilliseconds()).padStart(3, '0');
	return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${ms}`;
}

/** The last part of a path. */
export function basename(path) {
	return String(path ?? '').replace(/^.*\//, '');
}

/** `simple_read, simple.c:93`, or the address where no line is known. */
export function placed(place) {
	if (!place) {
		return '';
	}
	const where = place.file ? `${basename(place.file)}:${place.line}` : place.pc;
	return visible([place.function, where].filter(Boolean).join(', '));
}

/** A target's address, exactly: as a number of JavaScript it would lose its low bits. */
export function address(text) {
	return /^0x[0-9a-f]{1,16}$/i.test(text ?? '') ? BigInt(text) : null;
}
