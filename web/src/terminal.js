// SPDX-License-Identifier: Apache-2.0
// The target's console: shown by xterm, typed into. What the target prints may ask a terminal about itself, and the answer
// would be typed on the target as if the user had: such questions are not answered.
import { FitAddon } from '@xterm/addon-fit';
import { Terminal } from '@xterm/xterm';
import '@xterm/xterm/css/xterm.css';
import { action } from './keys.js';

const LINES_KEPT = 5000;
// What turns the direction of text: a line could look like another.
const TURNING = /\p{Bidi_Control}/gu;
const MONOSPACE = 'ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace';

// Reports of the device, its state, its modes, its version, its window.
const QUESTIONS = [
	{ final: 'c' }, { prefix: '>', final: 'c' }, { prefix: '=', final: 'c' },
	{ final: 'n' }, { prefix: '?', final: 'n' },
	{ intermediates: '$', final: 'p' }, { prefix: '?', intermediates: '$', final: 'p' },
	{ prefix: '>', final: 'q' }, { final: 't' }, { final: 'x' },
	{ prefix: '?', final: 'u' },
];
const COLOUR_QUESTIONS = [4, 10, 11, 12];
// Modes in which movements of the mouse, the focus and what is pasted are reported in ways that a shell does not expect.
const REPORTING = new Set([9, 1000, 1002, 1003, 1004, 1005, 1006, 1015, 1016, 2004]);

export class Console {
	/** `typed` gets what the user types. */
	constructor(typed) {
		this.terminal = new Terminal({
			fontFamily: MONOSPACE, fontSize: 12, lineHeight: 1.15, scrollback: LINES_KEPT, convertEol: true,
			screenReaderMode: true, cursorBlink: false, linkHandler: { activate: () => {} },
		});
		this.fit = new FitAddon();
		this.terminal.loadAddon(this.fit);
		for (const question of QUESTIONS) {
			this.terminal.parser.registerCsiHandler(question, () => true);
		}
		for (const number of COLOUR_QUESTIONS) {
			this.terminal.parser.registerOscHandler(number, () => true);
		}
		this.terminal.parser.registerDcsHandler({ intermediates: '$', final: 'q' }, () => true);
		this.terminal.parser.registerCsiHandler({ prefix: '?', final: 'h' }, (modes) => modes.some((mode) => REPORTING.has(mode)));
		this.terminal.onData(typed);
		// The keys that run and stop the target do so from here too; every other key is the target's.
		this.terminal.attachCustomKeyEventHandler((event) => event.key === 'Tab' || action(event, true) === null);
	}

	/** Shows itself in an element, in the colours that the page has, as large as that is. */
	open(element) {
		this.terminal.open(element);
		const dark = matchMedia('(prefers-color-scheme: dark)');
		const colour = () => {
			const style = getComputedStyle(element);
			const [background, foreground, selection] = ['--sunk', '--text', '--select'].map((name) => style.getPropertyValue(name).trim());
			this.terminal.options.theme = { background, foreground, cursor: foreground, selectionBackground: selection };
			this.terminal.options.minimumContrastRatio = 4.5;
		};
		colour();
		dark.addEventListener('change', colour);
		new ResizeObserver(() => this.fit.fit()).observe(element);
	}

	write(text) {
		this.terminal.write(text.replace(TURNING, '\ufffd'));
	}

	clear() {
		this.terminal.reset();
	}
}
