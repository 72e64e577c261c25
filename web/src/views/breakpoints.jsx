// SPDX-License-Identifier: Apache-2.0
// Everybody's breakpoints; ours may be removed, and new ones wait for their module.
import { useState } from 'preact/hooks';
import { basename, visible } from '../text.js';
import { Empty } from './panel.jsx';

export function Breakpoints({ model }) {
	return (
		<>
			<NewBreakpoint model={model} />
			{model.breakpoints.value.length === 0
				? <Empty>None. A click beside a line of the source sets one, or F9.</Empty>
				: (
					<table class="grid">
						<thead><tr><th scope="col">where</th><th scope="col">state</th><th scope="col" class="number">hits</th><th scope="col">owner</th></tr></thead>
						<tbody>{model.breakpoints.value.map((each, at) => <Row key={each.id || `${each.owner} ${at}`} each={each} model={model} />)}</tbody>
					</table>
				)}
		</>
	);
}

function Row({ each, model }) {
	const where = each.watches || (each.file ? `${basename(each.file)}:${each.line}` : each.function || each.address);
	return (
		<tr>
			<td>
				{each.file
					? <button class="link" onClick={() => model.showFile(each.file, each.line)}>{visible(where)}</button>
					: visible(where)}
				{each.file && each.function && <span class="dim"> {visible(each.function)}</span>}
				{each.condition && <code> if {visible(each.condition)}</code>}
			</td>
			<td class={each.verified ? 'verified' : 'pending'} title={visible(each.message)}>{each.verified ? 'armed' : 'pending'}</td>
			<td class="number">{each.hits ?? ''}</td>
			<td>
				{each.mine
					? <button class="link" aria-label={`Remove the breakpoint at ${visible(where)}`} onClick={() => model.command('remove', { breakpoint: each.id })}>remove</button>
					: visible(each.owner)}
			</td>
		</tr>
	);
}

function NewBreakpoint({ model }) {
	const [text, setText] = useState('');
	const [condition, setCondition] = useState('');
	const add = async (event) => {
		event.preventDefault();
		if (text.trim() && (await model.addBreakpoint(text, condition))) {
			setText('');
			setCondition('');
		}
	};
	return (
		<form class="new" onSubmit={add}>
			<input aria-label="Function or FILE:LINE" placeholder="function or file.c:12" value={text} onInput={(event) => setText(event.target.value)} />
			<input aria-label="Condition" placeholder="if…" value={condition} onInput={(event) => setCondition(event.target.value)} />
			<button>Add</button>
		</form>
	);
}
