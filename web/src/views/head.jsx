// SPDX-License-Identifier: Apache-2.0
// The top of the page: which session, its state, and what runs and stops the target.
import { clock, placed, visible } from '../text.js';

const BUTTONS = [
	['continue', 'Continue', 'F5', true],
	['next', 'Next', 'F10', true],
	['step', 'Step', 'F11', true],
	['finish', 'Finish', '⇧F11', true],
	['pause', 'Pause', 'F6', false],
];
const SHORTCUTS = { '⇧F11': 'Shift+F11' };

export function Head({ model, help, again }) {
	const session = model.session.value;
	return (
		<header class="head">
			<h1>{session ? visible(session.name) : 'nullmodem'}</h1>
			{session && <span class="facts" title={visible(session.kernel)}>{facts(session).map(visible).join(' · ')}</span>}
			<div role="toolbar" aria-label="Run and stop" class="tools">
				{BUTTONS.map(([what, name, key, whenStopped]) => (
					<button key={what} data-do={what} aria-keyshortcuts={SHORTCUTS[key] ?? key} title={`${name} (${key})`}
						disabled={!(whenStopped ? model.mayRun : model.mayPause).value}
						onClick={() => model.command(what)}>{name}<kbd aria-hidden="true">{key}</kbd></button>
				))}
			</div>
			<State model={model} again={again} />
			<button class="plain" aria-label="Keys" title="Keys (?)" onClick={help}>?</button>
			<Trouble model={model} />
			<Recorded model={model} />
		</header>
	);
}

/** What is worth a word of the session; of the kernel's file, the directory it was built in. */
function facts({ name, target, kernel, arch, wire }) {
	const built = kernel.replace(/\/vmlinux$/, '').replace(/^.*\//, '');
	return [target === name ? '' : target, built, arch, wire].filter(Boolean);
}

function State({ model, again }) {
	const { state, stop, by, holder, mine } = model.state.value;
	const shown = model.connected.value ? state : 'disconnected';
	return (
		<div class={`state ${shown}`}>
			<span class="pill">{shown}</span>
			{model.ended.value && <span class="ended">{visible(model.ended.value)} <button class="link" onClick={again}>connect again</button></span>}
			{shown === 'stopped' && stop && (
				<span class="where"><b>{visible(stop.reason)}</b> {placed(stop.place)} {stop.note && visible(stop.note)} <span class="dim">stop {stop.number}</span></span>
			)}
			{shown === 'running' && by && <span class="where dim">by {visible(by)}</span>}
			{model.connected.value && holder && !mine && (
				<span class="holder">held by {visible(holder)} <button class="link" title="Run and step it from here" onClick={() => model.command('take')}>take</button></span>
			)}
		</div>
	);
}

function Trouble({ model }) {
	const trouble = model.trouble.value;
	return (
		<div role="alert" class={trouble ? 'banner trouble' : 'unseen'}>
			{trouble && (
				<>
					<span><b>{visible(trouble.message)}</b> {visible(trouble.next)}</span>
					<button class="plain" onClick={() => (model.trouble.value = null)}>Dismiss</button>
				</>
			)}
		</div>
	);
}

function Recorded({ model }) {
	const recorded = model.recorded.value;
	const entry = recorded && model.timeline.value.find((each) => each.kind === 'stop' && each.stop === recorded.number);
	return recorded && (
		<div class="banner recorded">
			<span><b>Stop {recorded.number}, as it was read then.</b> {visible(recorded.reason)} {placed(recorded.place)} {entry && clock(entry.time)}</span>
			<button class="plain" onClick={() => model.showNow()}>Back to now <kbd>Esc</kbd></button>
		</div>
	);
}
