// SPDX-License-Identifier: Apache-2.0
// The module map: where every section stands in the address space, to scale.
import { useMemo, useRef, useState } from 'preact/hooks';
import { LABEL_DIGITS, layout, locate, rowLabel } from '../map.js';
import { memory, visible } from '../text.js';
import { useSize } from './size.js';
import { Empty, Panel } from './panel.jsx';

const SMALLEST_ROW = 13;
const LARGEST_ROW = 32;
const GAP = 12;
const BETWEEN = 3;
const LABEL = 76;
const THIN = 3; // pixels of a section that has no room for an edge
const NARROWEST_NAME = 7; // pixels of one letter

export function ModuleMap({ model }) {
	const modules = model.modules.value;
	const [chosen, setChosen] = useState(null);
	const known = modules.find(({ name }) => name === chosen) ?? null;
	return (
		<Panel name="Modules" class="modules" note={modules.length > 0 && `${modules.length}, to scale`} tools={<Legend />}>
			<div class="split">
				<Picture model={model} modules={modules} chosen={chosen} choose={setChosen} />
				<div class="body list" tabIndex={0} role="group" aria-label="Modules and their sections">
					{known && <Sections module={known} model={model} close={() => setChosen(null)} />}
					{!known && <List model={model} modules={modules} choose={setChosen} />}
				</div>
			</div>
		</Panel>
	);
}

function Legend() {
	return (
		<span class="legend" aria-hidden="true">
			{['text', 'rodata', 'data', 'init'].map((kind) => <span key={kind}><i class={`sw ${kind}`} />{kind}</span>)}
		</span>
	);
}

function Picture({ model, modules, chosen, choose }) {
	const place = useRef(null);
	const { width, height } = useSize(place);
	const limit = Math.max(3, Math.floor((height - 8) / (SMALLEST_ROW + BETWEEN)));
	const map = useMemo(() => layout(modules, limit), [modules, limit]);
	const inner = Math.max(40, width - LABEL - 8);
	const gaps = map.rows.filter(({ gap }) => gap).length;
	const room = (height - 12 - gaps * (GAP + BETWEEN)) / Math.max(1, map.rows.length - gaps) - BETWEEN;
	const high = Math.floor(Math.max(SMALLEST_ROW, Math.min(LARGEST_ROW, room)));
	const base = high / 2 + 4; // of text in the middle of a row
	let y = 6;
	const tops = map.rows.map(({ gap }) => {
		const top = y;
		y += (gap ? GAP : high) + BETWEEN;
		return top;
	});
	const marks = [
		...model.breakpoints.value.filter(({ verified }) => verified).map(({ address }) => ['bp', address]),
		...(model.stopped.value ? [['pc', model.state.value.stop?.place?.pc]] : []),
	].map(([kind, at]) => ({ kind, at, found: locate(map, at) })).filter(({ found }) => found);
	const said = `Address space of ${modules.length} modules, ${memory(map.rowBytes)} a row; the list beside it says the same in words.`;
	return (
		<div class="picture" ref={place}>
			{modules.length === 0 && <Empty>No modules are loaded.</Empty>}
			<svg role="img" aria-label={said} width={width} height={Math.max(y + 2, 0)}>
				{map.rows.map((row, index) => (row.gap
					? <g key={`gap ${index}`} class="gap">
						<line x1={LABEL} x2={LABEL + inner} y1={tops[index] + GAP / 2} y2={tops[index] + GAP / 2} />
						<text x={LABEL - 6} y={tops[index] + GAP / 2 + 4} text-anchor="end">{memory(row.gap)}</text>
					</g>
					: <g key={String(row.start)}>
						<text class="address" x={LABEL - 6} y={tops[index] + base} text-anchor="end">{rowLabel(row.start)}</text>
						<rect class="ground" x={LABEL} y={tops[index]} width={inner} height={high} />
						{row.spans.map((span) => (
							<Section key={`${span.module.name} ${span.section.name}`} span={span} x={LABEL + span.from * inner} y={tops[index]}
								width={(span.to - span.from) * inner} height={high} chosen={span.module.name === chosen} choose={choose} />
						))}
						{names(row, inner).map(({ name, x, room }) => <text key={`${name} ${x}`} class="label" x={LABEL + x + 3} y={tops[index] + base}>{name.slice(0, room)}</text>)}
					</g>))}
				{marks.map(({ kind, at, found }) => (
					<path key={`${kind} ${at}`} class={`mark at-${kind}`} d={`M${LABEL + found.x * inner} ${tops[found.row] + (kind === 'pc' ? high - 5 : 5)}l-4 ${kind === 'pc' ? 9 : -9}h8z`} />
				))}
			</svg>
		</div>
	);
}

function Section({ span: { module, section }, x, y, width, height, chosen, choose }) {
	const kinds = ['section', section.kind, module.state, section.freed && 'freed', chosen && 'chosen', width < THIN && 'thin'];
	const said = `${visible(module.name)} ${visible(section.name)} ${section.start} ${memory(section.size)}${section.freed ? ', freed' : ''}`;
	return (
		<rect class={kinds.filter(Boolean).join(' ')} x={x} y={y} width={Math.max(1, width)} height={height} onClick={() => choose(module.name)}>
			<title>{said}</title>
		</rect>
	);
}

/** A module's name in each row where it stands, as long as there is room. */
function names(row, inner) {
	const extents = new Map();
	for (const { module, from, to } of row.spans) {
		const known = extents.get(module.name) ?? { from, to };
		extents.set(module.name, { from: Math.min(known.from, from), to: Math.max(known.to, to) });
	}
	return [...extents].map(([name, { from, to }]) => ({
		name: visible(name), x: from * inner, room: Math.floor(((to - from) * inner - 6) / NARROWEST_NAME),
	})).filter(({ room }) => room >= 3);
}

function List({ model, modules, choose }) {
	return (
		<>
			<ul class="rows">
				{modules.map((module) => (
					<li key={module.name}>
						<button class="row" onClick={() => choose(module.name)}>
							<span class="name">{visible(module.name)}{module.stale && <span class="stale"> stale</span>}</span>
							<span class="place">{memory(size(module))}</span>
							<span class={`tag ${module.state}`}>{visible(module.state)}</span>
						</button>
					</li>
				))}
				{model.loadable.value.map((name) => (
					<li key={`loadable ${name}`} class="row">
						<span class="name dim">{visible(name)}</span>
						<button class="link" aria-label={`Load ${visible(name)}`} onClick={() => model.command('load', { name })}>load</button>
						<span class="tag">not loaded</span>
					</li>
				))}
			</ul>
			<LoadByName model={model} />
		</>
	);
}

function LoadByName({ model }) {
	const [name, setName] = useState('');
	const load = async (event) => {
		event.preventDefault();
		if (name.trim() && (await model.command('load', { name: name.trim() }))) {
			setName('');
		}
	};
	return (
		<form class="new" onSubmit={load}>
			<input aria-label="Module to load" placeholder="module" value={name} onInput={(event) => setName(event.target.value)} />
			<button>Load</button>
		</form>
	);
}

function Sections({ module, model, close }) {
	return (
		<>
			<div class="bar">
				<button class="link" onClick={close}>‹ all</button>
				<b>{visible(module.name)}</b>
				<button class="link" onClick={() => model.command('unload', { name: module.name })}>unload</button>
			</div>
			<table class="grid">
				<thead><tr><th scope="col">section</th><th scope="col">start</th><th scope="col" class="number">size</th></tr></thead>
				<tbody>
					{module.sections.filter((each) => each.size > 0).map((each) => (
						<tr key={each.name} class={each.freed ? 'freed' : ''}>
							<td><i class={`sw ${each.kind}`} />{visible(each.name)}</td>
							<td title={visible(each.start)}>{visible(each.start).slice(-LABEL_DIGITS)}</td>
							<td class="number">{each.freed ? 'freed' : memory(each.size)}</td>
						</tr>
					))}
				</tbody>
			</table>
		</>
	);
}

function size(module) {
	return module.sections.reduce((sum, each) => sum + (each.freed ? 0 : each.size), 0);
}
