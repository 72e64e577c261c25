// SPDX-License-Identifier: Apache-2.0
// The whole page: where each panel stands, and what the keys do.
import { useEffect, useRef, useState } from 'preact/hooks';
import { action, HELD, KEYS } from '../keys.js';
import { Breakpoints } from './breakpoints.jsx';
import { Head } from './head.jsx';
import { Locals } from './locals.jsx';
import { ModuleMap } from './modules.jsx';
import { Panel, Tabs } from './panel.jsx';
import { Registers, Stack, Threads } from './stack.jsx';
import { Source } from './source.jsx';
import { Timeline } from './timeline.jsx';
import { Wire } from './wire.jsx';

export function App({ model, terminal, again }) {
	const [help, setHelp] = useState(false);
	const cursor = useRef({ line: () => null });
	useEffect(() => {
		const pressed = (event) => {
			const wanted = action(event, typing(event.target));
			if (wanted && !event.target.closest?.('dialog')) {
				event.preventDefault();
				if (event.repeat && !HELD.has(wanted)) {
					return;
				}
				run(model, wanted, cursor.current, () => setHelp(true));
			}
		};
		document.addEventListener('keydown', pressed);
		return () => document.removeEventListener('keydown', pressed);
	}, []);
	return (
		<>
			<Head model={model} help={() => setHelp(true)} again={again} />
			<main class="main">
				<div class="column wide">
					<Source model={model} cursor={cursor.current} />
					<ConsolePanel terminal={terminal} />
				</div>
				<div class="column">
					<Stack model={model} />
					<Locals model={model} />
					<Tabs label="More of this stop" tabs={[
						['Breakpoints', () => <Breakpoints model={model} />],
						['CPUs and tasks', () => <Threads model={model} />],
						['Registers', () => <Registers model={model} />],
					]} />
				</div>
				<div class="strip">
					<ModuleMap model={model} />
					<Timeline model={model} />
					<Wire model={model} />
				</div>
			</main>
			<div class="unseen" role="status" aria-live="polite">{model.said}</div>
			{help && <Help close={() => setHelp(false)} />}
		</>
	);
}

/** Whether letters belong to what has the focus. The source shows only, and the keys work there. */
function typing(target) {
	return Boolean(target.closest?.('input, textarea, select, .xterm'));
}

function run(model, wanted, cursor, help) {
	const { level } = model.selected.value;
	const there = (at) => model.stack.value.some((frame) => frame.level === at);
	const mark = () => {
		const line = cursor.line();
		const file = model.source.value?.missing ? null : model.source.value?.file;
		return line && file && model.toggleBreakpoint(file, line);
	};
	({
		help,
		now: () => model.recorded.value && model.showNow(),
		up: () => there(level + 1) && model.showFrame(level + 1),
		down: () => there(level - 1) && model.showFrame(level - 1),
		breakpoint: mark,
	}[wanted] ?? (() => model.command(wanted)))();
}

function ConsolePanel({ terminal }) {
	const place = useRef(null);
	useEffect(() => terminal.open(place.current), []);
	return (
		<Panel name="Console" class="console" note="typed into as a terminal">
			<div class="screen" ref={place} />
		</Panel>
	);
}

function Help({ close }) {
	const dialog = useRef(null);
	useEffect(() => dialog.current.showModal(), []);
	return (
		<dialog ref={dialog} onClose={close} aria-labelledby="keys">
			<h2 id="keys">Keys</h2>
			<table>
				<tbody>
					{KEYS.map(([name, key, letter, what]) => (
						<tr key={name}>
							<th scope="row">{[key, letter].filter(Boolean).map((each) => <kbd key={each}>{each}</kbd>)}</th>
							<td>{what}</td>
						</tr>
					))}
				</tbody>
			</table>
			<p>In the source, arrows move the cursor by lines and Ctrl+F searches. In the timeline, arrows go from stop to stop and Enter shows one.</p>
			<form method="dialog"><button>Close</button></form>
		</dialog>
	);
}
