// SPDX-License-Identifier: Apache-2.0
// The source, in CodeMirror: read only, with a gutter for breakpoints and the line where the target stands.
import { HighlightStyle, StreamLanguage, syntaxHighlighting } from '@codemirror/language';
import { c } from '@codemirror/legacy-modes/mode/clike';
import { rust } from '@codemirror/legacy-modes/mode/rust';
import { search, searchKeymap } from '@codemirror/search';
import { Compartment, EditorState, RangeSet, StateEffect, StateField } from '@codemirror/state';
import { Decoration, drawSelection, EditorView, gutter, GutterMarker, highlightSpecialChars, keymap, lineNumbers } from '@codemirror/view';
import { tags } from '@lezer/highlight';

const CURSOR_KEYS = [
	['ArrowUp', -1], ['ArrowDown', 1], ['PageUp', -20], ['PageDown', 20], ['Home', -Infinity], ['End', Infinity],
];

// Modes that go line by line: a tenth of the size of a grammar, and as good for looking.
const C = StreamLanguage.define(c);
const RUST = StreamLanguage.define(rust);

const COLOURS = syntaxHighlighting(HighlightStyle.define([
	{ tag: tags.comment, color: 'var(--code-comment)', fontStyle: 'italic' },
	{ tag: [tags.keyword, tags.modifier, tags.controlKeyword], color: 'var(--code-keyword)' },
	{ tag: [tags.processingInstruction, tags.macroName, tags.meta], color: 'var(--code-macro)' },
	{ tag: [tags.string, tags.character], color: 'var(--code-string)' },
	{ tag: [tags.number, tags.bool, tags.null], color: 'var(--code-number)' },
	{ tag: [tags.typeName, tags.standard(tags.typeName)], color: 'var(--code-type)' },
	{ tag: [tags.definition(tags.variableName), tags.standard(tags.variableName)], color: 'var(--code-function)' },
]));

class Mark extends GutterMarker {
	constructor(breakpoint) {
		super();
		this.breakpoint = breakpoint;
	}

	eq(other) {
		return other.breakpoint === this.breakpoint;
	}

	toDOM() {
		const { mine, verified, enabled, condition } = this.breakpoint;
		const dot = document.createElement('span');
		dot.className = ['bp', mine ? 'mine' : 'other', verified ? 'verified' : 'pending', enabled === false ? 'off' : '',
			condition ? 'conditional' : ''].join(' ');
		return dot;
	}
}

const setMarks = StateEffect.define();
const setLine = StateEffect.define();

// The text only ever changes to that of another file, where nothing of the one before has a place.
function fieldOf(effect, nothing, more = {}) {
	return StateField.define({
		create: () => nothing,
		update: (now, { effects, docChanged }) => effects.find((each) => each.is(effect))?.value ?? (docChanged ? nothing : now),
		...more,
	});
}

const marks = fieldOf(setMarks, { set: RangeSet.empty, code: new Set() });

const currentLine = fieldOf(setLine, Decoration.none, {
	provide: (field) => EditorView.decorations.from(field),
});

class Possible extends GutterMarker {
	toDOM() {
		const dot = document.createElement('span');
		dot.className = 'bp possible';
		return dot;
	}
}
const POSSIBLE = new Possible();

export class Editor {
	#view;
	#language = new Compartment();
	#file = null;
	#text = null;

	/** `click(line)` is called for a click into the gutter, lines from 1. */
	constructor(parent, click) {
		const gutters = [
			gutter({
				class: 'gutter-bp',
				lineMarker: (view, block) => {
					const { set, code } = view.state.field(marks);
					let mark = null;
					set.between(block.from, block.from, (_from, _to, value) => void (mark = value));
					return mark ?? (code.has(view.state.doc.lineAt(block.from).number) ? POSSIBLE : null);
				},
				lineMarkerChange: ({ transactions }) => transactions.some(({ effects }) => effects.some((each) => each.is(setMarks))),
				domEventHandlers: { mousedown: (view, block) => this.#clicked(view, block, click) },
			}),
			lineNumbers({ domEventHandlers: { mousedown: (view, block) => this.#clicked(view, block, click) } }),
		];
		this.#view = new EditorView({
			parent,
			state: EditorState.create({
				extensions: [
					EditorState.readOnly.of(true), gutters, marks, currentLine, COLOURS, highlightSpecialChars(), drawSelection(),
					this.#language.of([]), search({ top: true }), // the browser's own finds only the lines that are drawn
					keymap.of([...searchKeymap, ...CURSOR_KEYS.map(([key, lines]) => ({ key, run: (view) => moved(view, lines) }))]),
					EditorView.contentAttributes.of({ 'aria-label': 'Source', tabindex: '0', 'aria-readonly': 'true', spellcheck: 'false' }),
				],
			}),
		});
	}

	#clicked(view, block, click) {
		click(view.state.doc.lineAt(block.from).number);
		return true;
	}

	/** The line of the cursor, from 1. */
	get cursorLine() {
		return this.#view.state.doc.lineAt(this.#view.state.selection.main.head).number;
	}

	/** Shows a text; the line in it is brought into sight, and marked in the way of `how`: current, caller, recorded. */
	show({ file, text, line, lines_with_code: code = [] }, breakpoints, how) {
		const fresh = file !== this.#file || text !== this.#text;
		if (fresh) {
			this.#file = file;
			this.#text = text;
			this.#view.dispatch({
				changes: { from: 0, to: this.#view.state.doc.length, insert: text },
				effects: this.#language.reconfigure(file.endsWith('.rs') ? RUST : C),
			});
		}
		const { doc } = this.#view.state;
		const there = (number) => number >= 1 && number <= doc.lines;
		const set = RangeSet.of(
			breakpoints.filter((each) => there(each.line)).map((each) => new Mark(each).range(doc.line(each.line).from)), true,
		);
		const effects = [setMarks.of({ set, code: new Set(code) })];
		if (there(line)) {
			const at = doc.line(line).from;
			const shown = how ? Decoration.set([Decoration.line({ class: `line-${how}` }).range(at)]) : Decoration.none;
			effects.push(setLine.of(shown));
			if (fresh || this.line !== line) {
				effects.push(EditorView.scrollIntoView(at, { y: fresh ? 'center' : 'nearest', yMargin: 60 }));
				this.#view.dispatch({ selection: { anchor: at } });
			}
		} else {
			effects.push(setLine.of(Decoration.none));
		}
		this.line = line;
		this.#view.dispatch({ effects });
	}
}

/** Moves the cursor by whole lines: it stands at the beginning of one, and a screen reader reads that line. */
function moved(view, lines) {
	const { doc, selection } = view.state;
	const to = Math.max(1, Math.min(doc.lines, doc.lineAt(selection.main.head).number + lines));
	view.dispatch({ selection: { anchor: doc.line(to).from }, scrollIntoView: true });
	return true;
}
