// SPDX-License-Identifier: Apache-2.0
// The timeline's entries, and where they stand in its picture.

export const MOST = 10000;

/** The lane of each kind, from the top. */
export const LANES = { stop: 0, resume: 0, load: 1, unload: 1, console: 2, oops: 2, said: 2, wire: 3 };
export const LANE_NAMES = ['target', 'modules', 'console', 'wire'];

// A millisecond between two entries is 4 pixels, a second 20, an hour 41: order and pauses both are seen.
const CLOSEST = 2;
const PER_TENFOLD = 6;
const WIDEST = 48;

/** Entries with some more, the oldest given up beyond `MOST`. One whose number is known has grown: it replaces that. */
export function appended(entries, news) {
	const fresh = new Map(news.map((entry) => [entry.seq, entry]));
	const oldest = Math.min(...fresh.keys());
	let at = entries.length;
	while (at > 0 && entries[at - 1].seq >= oldest) {
		at--;
	}
	const grown = entries.slice(at).filter(({ seq }) => !fresh.has(seq));
	const newest = [...grown, ...fresh.values()].sort((one, other) => one.seq - other.seq);
	return [...entries.slice(Math.max(0, at + newest.length - MOST), at), ...newest].slice(-MOST);
}

const known = new WeakMap(); // lines by entry: an entry does not change

/** What each line of the list says: an entry of the console may hold several. */
export function linesOf(entries) {
	return entries.flatMap((entry) => {
		if (!known.has(entry)) {
			known.set(entry, entry.text.split('\n').map((text, index) => ({ entry, text, key: `${entry.seq}.${index}` })));
		}
		return known.get(entry);
	});
}

/** The place from the left of each entry, in pixels: growing with the time between two, slower than it. */
export function positions(entries) {
	const places = new Float64Array(entries.length);
	for (let index = 1; index < entries.length; index++) {
		const ms = Math.max(0, entries[index].time - entries[index - 1].time) * 1000;
		places[index] = places[index - 1] + Math.min(WIDEST, CLOSEST + PER_TENFOLD * Math.log10(1 + ms));
	}
	return places;
}

/** The first index whose place is not left of `x`. */
export function firstFrom(places, x) {
	let low = 0;
	let high = places.length;
	while (low < high) {
		const middle = (low + high) >> 1;
		if (places[middle] < x) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	return low;
}

/** Stretches of time in one state, as `{state, from, to, stop}` with the places of their ends; the last is open to `end`. */
export function stretches(entries, places, end) {
	const found = [];
	let open = null;
	for (let index = 0; index < entries.length; index++) {
		const { kind, stop } = entries[index];
		if (kind === 'stop' || kind === 'resume') {
			if (open) {
				found.push({ ...open, to: places[index] });
			}
			open = { state: kind === 'stop' ? 'stopped' : 'running', from: places[index], stop: kind === 'stop' ? stop : null };
		}
	}
	return open ? [...found, { ...open, to: end }] : found;
}

/** The entry of a stop before (-1) or after (1) another, or null. */
export function neighbour(entries, stop, step) {
	const stops = entries.filter((each) => each.kind === 'stop');
	const at = stops.findIndex((each) => each.stop === stop);
	return stops[at < 0 ? (step < 0 ? stops.length - 1 : 0) : at + step] ?? null;
}
