// SPDX-License-Identifier: Apache-2.0
// The module map's geometry: the address space in rows of equal size, like the lines of a page; what nobody uses is left out.
import { address } from './text.js';

/** Of an address: what differs between two modules of one kernel. */
export const LABEL_DIGITS = 9;

const SMALLEST_ROW = 4096n;

/**
 * The rows that sections stand in, in the order of addresses, as `{start, spans}` or `{gap}` with the bytes left out.
 * A span is `{module, section, from, to}` with the ends as parts of the row, 0 to 1. All rows have `rowBytes` bytes, the
 * smallest power of two with which no more than `limit` rows are used.
 */
export function layout(modules, limit) {
	const sections = placedSections(modules);
	let rowBytes = SMALLEST_ROW;
	while (usedRows(sections, rowBytes).length > limit) {
		rowBytes *= 2n;
	}
	const rows = [];
	let next = null;
	for (const number of usedRows(sections, rowBytes)) {
		if (next !== null && number > next) {
			rows.push({ gap: Number((number - next) * rowBytes) });
		}
		rows.push({ start: number * rowBytes, spans: spansIn(sections, number * rowBytes, rowBytes) });
		next = number + 1n;
	}
	return { rowBytes: Number(rowBytes), rows };
}

/** Where an address stands: the row's place in `rows` and the part of it, or null. */
export function locate({ rows, rowBytes }, at) {
	const where = address(at);
	const row = where === null ? -1 : rows.findIndex(({ start }) =>
		start !== undefined && start <= where && where < start + BigInt(rowBytes));
	return row < 0 ? null : { row, x: Number(where - rows[row].start) / rowBytes };
}

/** `0xffffffffc0208000` without the beginning that all rows share. */
export function rowLabel(start) {
	return start.toString(16).padStart(16, '0').slice(-LABEL_DIGITS);
}

function placedSections(modules) {
	const placed = [];
	for (const module of modules) {
		for (const section of module.sections) {
			const start = address(section.start);
			if (start !== null && section.size > 0) {
				placed.push({ module, section, start, end: start + BigInt(section.size) });
			}
		}
	}
	return placed.sort((one, other) => (one.start < other.start ? -1 : 1));
}

function usedRows(sections, rowBytes) {
	const used = [];
	let last = null;
	for (const { start, end } of sections) {
		let number = start / rowBytes;
		number = last !== null && number <= last ? last + 1n : number;
		// A section of a wrong size must not cost a million rows: the next larger size of row is tried before that.
		for (; number <= (end - 1n) / rowBytes && used.length < 4096; number++) {
			used.push(number);
			last = number;
		}
	}
	return used;
}

function spansIn(sections, from, rowBytes) {
	const to = from + rowBytes;
	return sections
		.filter(({ start, end }) => start < to && end > from)
		.map(({ module, section, start, end }) => ({
			module,
			section,
			from: Number((start > from ? start : from) - from) / Number(rowBytes),
			to: Number((end < to ? end : to) - from) / Number(rowBytes),
		}));
}
