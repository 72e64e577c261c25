// SPDX-License-Identifier: Apache-2.0
// The timeline: a picture of what happened when, and the same in words below. Only what is in sight is drawn.
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import { clock, visible } from '../text.js';
import { firstFrom, LANE_NAMES, LANES, linesOf, neighbour, positions, stretches } from '../timeline.js';
import { useSize } from './size.js';
import { Empty, Panel } from './panel.jsx';

const LANE = 15;
const LABEL = 62;
const LINE = 17;

export function Timeline({ model }) {
	const entries = model.timeline.value;
	const [at, setAt] = useState(null);
	const shown = model.recorded.value?.number ?? (model.stopped.value ? model.state.value.stop?.number : null);
	const press = (event) => {
		const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
		if (step) {
			event.preventDefault();
			const entry = neighbour(entries, at ?? shown, step);
			setAt(entry ? entry.stop : at);
			model.said.value = entry ? `Stop ${entry.stop}: ${visible(entry.text)}` : '';
		} else if (event.key === 'Enter' && at !== null) {
			model.showRecorded(at);
		}
	};
	return (
		<Panel name="Timeline" class="timeline" note={entries.length > 0 && `${entries.length} events`}>
			{entries.length === 0 && <Empty>Nothing has happened yet.</Empty>}
			<Picture model={model} entries={entries} at={at} shown={shown} press={press} />
			<Words model={model} entries={entries} shown={shown} />
		</Panel>
	);
}

function Picture({ model, entries, at, shown, press }) {
	const place = useRef(null);
	const { width } = useSize(place);
	const places = useMemo(() => positions(entries), [entries]);
	const end = entries.length ? places[entries.length - 1] + 24 : 0;
	const [left, setLeft] = useFollowing(place, [end, width], 'scrollLeft');
	const inner = Math.max(0, width - LABEL);
	const from = Math.max(0, firstFrom(places, left - 10));
	const to = firstFrom(places, left + inner + 10);
	const x = (at) => LABEL + at - left;
	const bars = stretches(entries, places, end).filter((each) => each.to >= left && each.from <= left + inner);
	return (
		<div class="picture" ref={place} onScroll={(event) => setLeft(event.currentTarget.scrollLeft)} tabIndex={0} role="group"
			aria-label="Stops in time: arrows go from stop to stop, Enter shows one" onKeyDown={press}>
			<div class="long" style={{ width: `${LABEL + end}px` }}>
				<svg width={width} height={LANE * 4 + 16} aria-hidden="true">
					{bars.map((each) => (
						<rect key={each.from} class={`stretch ${each.state} ${each.stop !== null && each.stop === shown ? 'shown' : ''} ${each.stop !== null && each.stop === at ? 'at' : ''}`}
							x={x(Math.max(each.from, left))} width={Math.max(2, Math.min(each.to, left + inner) - Math.max(each.from, left))} y={2} height={LANE - 4}
							onClick={() => model.showRecorded(each.stop)}>
							<title>{each.stop === null ? each.state : `stop ${each.stop}`}</title>
						</rect>
					))}
					{entries.slice(from, to).map((entry, index) => (
						<Event key={entry.seq} entry={entry} x={x(places[from + index])} show={() => model.showRecorded(entry.stop)} />
					))}
					<Times entries={entries} places={places} from={from} to={to} x={x} />
					{LANE_NAMES.map((name, lane) => (
						<g key={name}>
							<rect class="cover" x={0} y={lane * LANE} width={LABEL - 2} height={LANE} />
							<text class="lane" x={LABEL - 8} y={lane * LANE + 11} text-anchor="end">{name}</text>
						</g>
					))}
				</svg>
			</div>
		</div>
	);
}

function Event({ entry, x, show }) {
	const lane = LANES[entry.kind];
	if (lane === undefined || lane === 0) {
		return null;
	}
	const y = lane * LANE;
	const title = <title>{`${clock(entry.time)} ${entry.kind}: ${visible(entry.text)}`}</title>;
	if (lane === 1) {
		const d = entry.kind === 'load' ? `M${x} ${y + 12}l4 -9l4 9z` : `M${x} ${y + 3}l4 9l4 -9z`;
		return <path class={`event k-${entry.kind}`} d={d} onClick={show}>{title}</path>;
	}
	const wide = entry.kind === 'oops' ? 4 : 2;
	return <rect class={`event k-${entry.kind}`} x={x} y={y + 3} width={wide} height={LANE - 5} onClick={show}>{title}</rect>;
}

/** The time of day wherever there is room for it. */
function Times({ entries, places, from, to, x }) {
	const marks = [];
	let next = -Infinity;
	for (let index = from; index < to; index++) {
		if (x(places[index]) >= Math.max(next, LABEL)) {
			marks.push([entries[index].seq, x(places[index]), clock(entries[index].time).slice(0, 8)]);
			next = x(places[index]) + 90;
		}
	}
	return marks.map(([key, at, text]) => (
		<g key={key} class="time"><line x1={at} x2={at} y1={LANE * 4} y2={LANE * 4 + 4} /><text x={at + 2} y={LANE * 4 + 12}>{text}</text></g>
	));
}

function Words({ model, entries, shown }) {
	const place = useRef(null);
	const { height } = useSize(place);
	const lines = useMemo(() => linesOf(entries), [entries]);
	const [top, setTop] = useFollowing(place, [lines.length, height], 'scrollTop');
	const from = Math.max(0, Math.floor(top / LINE) - 2);
	const seen = lines.slice(from, from + Math.ceil(height / LINE) + 4);
	return (
		<div class="body words" ref={place} onScroll={(event) => setTop(event.currentTarget.scrollTop)} tabIndex={0} role="group" aria-label="Events">
			<div style={{ height: `${lines.length * LINE}px` }}>
				<ol class="rows" style={{ transform: `translateY(${from * LINE}px)` }} start={from + 1}>
					{seen.map(({ entry, text, key }) => {
						const parts = (
							<>
								<span class="time">{clock(entry.time)}</span>
								<span class={`kind k-${entry.kind}`}>{visible(entry.kind)}</span>
								<span class="text">{visible(text)}</span>
							</>
						);
						const stop = entry.stop !== null && entry.stop !== undefined;
						return (
							<li key={key}>
								{stop
									? <button class="row" tabIndex={-1} aria-current={entry.stop === shown && entry.kind === 'stop'} onClick={() => model.showRecorded(entry.stop)}>{parts}</button>
									: <div class="row">{parts}</div>}
							</li>
						);
					})}
				</ol>
			</div>
		</div>
	);
}

/** How far an element is scrolled; it follows its end as that grows, unless it was scrolled away from it. */
function useFollowing(place, growing, side) {
	const [scrolled, setScrolled] = useState(0);
	const following = useRef(true);
	const room = (element) => (side === 'scrollTop' ? element.scrollHeight - element.clientHeight : element.scrollWidth - element.clientWidth);
	useLayoutEffect(() => {
		if (following.current) {
			place.current[side] = room(place.current);
			setScrolled(place.current[side]);
		}
	}, growing);
	useEffect(() => {
		const element = place.current;
		const noted = () => (following.current = room(element) - element[side] < 8);
		element.addEventListener('scroll', noted, { passive: true });
		return () => element.removeEventListener('scroll', noted);
	}, []);
	return [scrolled, setScrolled];
}
