// SPDX-License-Identifier: Apache-2.0
// Frames, processors and tasks, registers.
import { basename, visible } from '../text.js';
import { Empty, Panel } from './panel.jsx';

export function Stack({ model }) {
	const frames = model.stack.value;
	const old = !model.stopped.value && !model.recorded.value;
	return (
		<Panel name="Stack" class={old ? 'stack old' : 'stack'}>
			<div class="body" tabIndex={0} role="group" aria-label="Frames">
				{frames.length === 0 && <Empty>No stack: the target runs.</Empty>}
				<ol class="rows">
					{frames.map((frame) => (
						<li key={frame.level}>
							<button class="row" aria-current={frame.level === model.selected.value.level} disabled={old}
								onClick={() => model.showFrame(frame.level)}>
								<span class="level">{frame.level}</span>
								<span class="name">{visible(frame.function ?? frame.pc)}</span>
								<span class="place">{frame.file ? `${visible(basename(frame.file))}:${frame.line}` : visible(frame.pc)}</span>
								<span class="tag">{frame.inlined ? 'inline ' : ''}{frame.module ? visible(frame.module) : ''}</span>
							</button>
						</li>
					))}
				</ol>
			</div>
		</Panel>
	);
}

export function Threads({ model }) {
	const threads = model.threads.value;
	if (threads.length === 0) {
		return <Empty>{model.recorded.value ? 'Not recorded.' : 'Shown when the target stands.'}</Empty>;
	}
	const all = threads.some(({ cpu }) => cpu === null);
	return (
		<>
		{!all && <p class="bar"><button class="link" onClick={() => model.showTasks()}>show sleeping tasks</button></p>}
		<table class="grid">
			<thead><tr><th scope="col">CPU</th><th scope="col">task</th><th scope="col" class="number">pid</th><th scope="col">state</th></tr></thead>
			<tbody>
				{threads.map((thread) => (
					<tr key={thread.id} class={thread.id === model.selected.value.thread ? 'chosen' : ''}>
						<td>{thread.cpu ?? ''}</td>
						<td>
							<button class="link" aria-current={thread.id === model.selected.value.thread}
								onClick={() => model.showThread(thread.id)}>{visible(thread.task ?? thread.name)}</button>
						</td>
						<td class="number">{thread.pid ?? ''}</td>
						<td>{visible(thread.state)}{thread.current ? ' · stopped here' : ''}</td>
					</tr>
				))}
			</tbody>
		</table>
		</>
	);
}

export function Registers({ model }) {
	const registers = model.registers.value;
	if (registers.length === 0) {
		return <Empty>{model.recorded.value ? 'Not recorded.' : 'Shown when the target stands.'}</Empty>;
	}
	return (
		<dl class={model.stopped.value ? 'registers' : 'registers old'}>
			{registers.map(({ name, value, changed }) => (
				<div key={name} class={changed ? 'changed' : ''}>
					<dt>{visible(name)}</dt><dd>{visible(value)}</dd>
				</div>
			))}
		</dl>
	);
}
