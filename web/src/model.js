// SPDX-License-Identifier: Apache-2.0
// What the page knows, as signals, and how each message changes it. Knows nothing of how it is shown.
import { batch, computed, signal } from '@preact/signals';
import { basename, placed } from './text.js';
import { appended } from './timeline.js';
import * as tree from './tree.js';

const COMMANDS_KEPT = 100;
const OURS = 'this page'; // the owner of a breakpoint that may be removed here
const RUNS = new Set(['continue', 'next', 'step', 'finish']);
const MOST_NEWS = 1000; // a page in the background is not drawn
const NOTHING = { thread: null, level: 0 };

export class Model {
	/**
	 * `ask(what, fields)` is a request to the session; `write(text)` shows console text, `clear()` none; `soon(do)` calls
	 * back before the page is drawn again.
	 */
	constructor(ask, write, clear, soon) {
		this.ask = ask;
		this.write = write;
		this.clear = clear;
		this.#soon = soon;
		this.connected = signal(false);
		this.ended = signal(''); // why nobody tries to connect any more
		this.session = signal(null);
		this.state = signal({ state: 'connecting', stop: null, by: '' });
		this.modules = signal([]);
		this.loadable = signal([]); // names of modules that are not there, and were or may be
		this.files = signal([]);
		this.breakpoints = signal([]);
		this.timeline = signal([]);
		this.wire = signal({ commands: [], total: null, utilisation: 0 });
		this.recorded = signal(null);
		this.selected = signal(NOTHING);
		this.threads = signal([]);
		this.stack = signal([]);
		this.locals = signal([]);
		this.registers = signal([]);
		this.source = signal(null);
		this.said = signal('');
		this.trouble = signal(null);
		this.busy = signal('');
		this.frame = computed(() => this.stack.value.find(({ level }) => level === this.selected.value.level) ?? null);
		this.mayRun = computed(() => this.stopped.value && !this.recorded.value); // not what is not seen
		this.mayPause = computed(() => this.connected.value && this.state.value.state === 'running');
		this.stopped = computed(() => this.connected.value && this.state.value.state === 'stopped');
	}

	#soon;
	#news = []; // of the timeline, not shown yet
	#filesOf = null;
	#sources = new Map();
	#before = { function: null, registers: new Map() };
	#look = 0; // grows with whatever makes answers that are under way worthless

	/** One message that the session sent by itself. */
	receive(message) {
		const take = {
			hello: () => this.#hello(message),
			state: () => this.#stateChanged(message),
			modules: () => this.#modulesChanged(message.modules, message.known ?? []),
			breakpoints: () => (this.breakpoints.value = message.breakpoints.map((each) => ({ mine: each.owner === OURS, ...each }))),
			console: () => this.write(message.text),
			timeline: () => this.#happened(message.entry),
			wire: () => this.#wireChanged(message),
		}[message.type];
		if (take) {
			batch(take);
		}
	}

	connection(there, why) {
		const before = this.connected.value;
		this.connected.value = there;
		this.ended.value = why;
		if (there !== before) {
			this.said.value = there ? 'Connected to the session.' : why || 'The connection to the session is lost.';
		}
	}

	// -- what the session tells ----------------------------------------------------------------------------------

	/** The beginning, or a new one after the page could not keep up: everything before is forgotten. */
	#hello({ session, history = [], console: text = '' }) {
		this.session.value = session;
		this.state.value = { state: 'connecting', stop: null, by: '' };
		this.timeline.value = history;
		this.#news = [];
		this.#filesOf = null;
		this.modules.value = [];
		this.breakpoints.value = [];
		this.wire.value = { commands: [], total: null, utilisation: 0 };
		this.recorded.value = null;
		this.#sources.clear();
		this.#forget();
		this.clear();
		this.write(text);
	}

	/** A console may print a thousand lines between two pictures of the page. */
	#happened(entry) {
		this.#news.push(entry);
		if (this.#news.length === 1) {
			this.#soon(() => this.#takeNews());
		} else if (this.#news.length === MOST_NEWS) {
			this.#takeNews();
		}
	}

	#takeNews() {
		if (this.#news.length) {
			this.timeline.value = appended(this.timeline.value, this.#news);
			this.#news = [];
		}
	}

	#stateChanged({ state, stop, by, holder = '', mine = false }) {
		const before = this.state.value.stop?.number;
		this.state.value = { state, stop, by, holder, mine };
		this.busy.value = '';
		if (state === 'stopped' && stop) {
			this.said.value = `Stopped: ${stop.reason}. ${placed(stop.place)}`;
			if (stop.number !== before && !this.recorded.value) {
				this.#show(stop.thread, 0, { threads: true, stack: true });
			}
		} else {
			this.said.value = state === 'running' ? 'The target runs.' : 'The target is lost.';
			this.#look++; // what stands there is shown on, greyed; answers to come are of no stop
			this.threads.value = [];
		}
	}

	#modulesChanged(modules, known) {
		const names = new Set(modules.map(({ name }) => name));
		const went = this.modules.value.map(({ name }) => name).filter((name) => !names.has(name));
		this.loadable.value = [...new Set([...known, ...this.loadable.value, ...went])].filter((name) => !names.has(name));
		this.modules.value = modules;
		const of = JSON.stringify([modules.map(({ name, load }) => [name, load]), known]);
		if (of !== this.#filesOf) {
			this.#filesOf = of;
			this.#sources = new Map(); // a module is rebuilt between unloading and loading
			this.#renewSource();
			this.ask('files').then((files) => (this.files.value = files), () => (this.#filesOf = null)); // asked again then
		}
	}

	#wireChanged({ last, total, utilisation }) {
		let { commands } = this.wire.value;
		if (last) {
			commands = [...(grown(commands.at(-1), last) ? commands.slice(0, -1) : commands), last].slice(-COMMANDS_KEPT);
		}
		this.wire.value = { commands, total, utilisation };
	}

	// -- looking at a stop ---------------------------------------------------------------------------------------

	/** Shows another thread. */
	showThread(thread) {
		return this.#show(thread, 0, { stack: true });
	}

	/** Adds the tasks that sleep to the processors: what a large system has many of is read only on demand. */
	async showTasks() {
		const look = this.#look;
		try {
			const threads = await this.ask('threads', { tasks: true });
			if (look === this.#look) {
				this.threads.value = threads;
			}
		} catch (error) {
			this.#complain(error);
		}
	}

	/** Shows another frame of the thread that is shown. */
	showFrame(level) {
		if (this.recorded.value) {
			return this.#showRecordedFrame(level);
		}
		return this.#show(this.selected.value.thread, level, {});
	}

	async #show(thread, level, fresh) {
		const look = ++this.#look;
		const still = (take) => (answer) => look === this.#look && batch(() => take(answer));
		this.selected.value = { thread, level };
		if (fresh.threads) {
			this.ask('threads').then(still((threads) => (this.threads.value = threads)), still(this.#complain));
		}
		if (fresh.stack) {
			await this.ask('stack', { thread }).then(still((stack) => (this.stack.value = stack)), still(this.#complain));
		}
		if (look !== this.#look) {
			return;
		}
		const frame = this.frame.value;
		await Promise.all([
			this.#showSource(frame, still),
			this.ask('locals', { thread, level }).then(still((locals) => this.#localsCame(frame, locals)), still(this.#complain)),
			this.ask('registers', { thread, level }).then(still((registers) => this.#registersCame(registers)), still(this.#complain)),
		]);
	}

	#localsCame(frame, variables) {
		const name = `${frame?.module}:${frame?.function}`;
		const same = this.#before.function === name;
		const unfolded = same ? tree.rows(this.locals.value).filter(({ open }) => open).map(({ path }) => path) : [];
		const before = same ? tree.values(this.locals.value) : new Map();
		this.#before.function = name;
		this.locals.value = tree.nodes(variables, null, before);
		this.#unfoldAgain(unfolded, before);
	}

	/** What was unfolded is again at the next line of the same function. */
	async #unfoldAgain(paths, before) {
		for (const path of paths) {
			const node = tree.rows(this.locals.value).find((each) => each.path === path);
			if (node && tree.unfolds(node)) {
				await this.#unfold(node, before);
			}
		}
	}

	#registersCame(registers) {
		const before = this.#before.registers;
		this.#before.registers = new Map(registers.map(({ name, value }) => [name, value]));
		this.registers.value = registers.map((each) => ({
			...each, changed: before.has(each.name) && before.get(each.name) !== each.value,
		}));
	}

	/** Unfolds a variable, or folds it. */
	async toggle(node) {
		if (node.open) {
			this.locals.value = tree.changed(this.locals.value, node.path, (each) => ({ ...each, open: false }));
			return;
		}
		await this.#unfold(node, new Map());
	}

	async #unfold(node, before) {
		const look = this.#look;
		try {
			const children = node.children ?? tree.nodes(await this.ask('children', { ref: node.ref }), node, before);
			if (look === this.#look) {
				this.locals.value = tree.changed(this.locals.value, node.path, (each) => ({ ...each, open: true, children }));
			}
		} catch (error) {
			if (look === this.#look) {
				this.#complain(error);
			}
		}
	}

	/** Shows a file that nobody stands in. */
	async showFile(file, line) {
		const look = this.#look;
		await this.#showSource({ file, line }, (take) => (answer) => look === this.#look && take(answer), true);
	}

	async #showSource(place, still, aside = false) {
		const where = place?.file;
		if (!where) {
			this.source.value = await this.#instructions(place, []);
			return;
		}
		const sources = this.#sources;
		const known = sources.get(where);
		try {
			const answer = known ?? (await this.ask('source', { file: where }));
			if (!answer.missing) {
				sources.set(where, answer);
			}
			const shown = answer.missing ? await this.#instructions(place, answer.looked, answer.disassembly)
				: { ...answer, file: where, line: place.line, aside };
			still(() => (this.source.value = shown))();
		} catch (error) {
			still(this.#complain)(error);
		}
	}

	/** Lines that are clicked on are to be those of the build that is loaded. */
	async #renewSource() {
		const before = this.source.value;
		if (before?.file && !before.missing && !this.recorded.value) {
			const answer = await this.ask('source', { file: before.file }).catch(() => null);
			if (answer && !answer.missing && this.source.value === before) {
				this.source.value = { ...before, ...answer };
			}
		}
	}

	/** What is shown where there is no source: the instructions, and where a source was looked for. */
	async #instructions(place, looked, given) {
		let lines = given;
		if (!lines?.length && this.stopped.value && !this.recorded.value) {
			const { thread, level } = this.selected.value;
			lines = await this.ask('disassembly', { thread, level }).catch(() => []);
		}
		const at = (lines ?? []).findIndex((each) => each.address === place?.pc);
		return {
			file: place?.file ?? '', missing: true, looked, line: at + 1,
			text: (lines ?? []).map((each) => `${each.address}  ${each.text}`).join('\n'), lines_with_code: [],
		};
	}

	// -- what was recorded ---------------------------------------------------------------------------------------

	/** Shows what was read at an earlier stop; the one that stands is shown live. */
	async showRecorded(stop) {
		if (stop === null || stop === undefined) {
			return;
		}
		if (stop === this.state.value.stop?.number && this.stopped.value) {
			this.showNow();
			return;
		}
		try {
			const recorded = await this.ask('recorded', { stop });
			batch(() => {
				this.#look++;
				this.recorded.value = recorded;
				this.threads.value = [];
				this.registers.value = [];
				this.stack.value = recorded.stack ?? [];
				this.said.value = `Recorded at stop ${stop}: ${placed(recorded.place)}`;
			});
			await this.#showRecordedFrame(0);
		} catch (error) {
			this.#complain(error);
		}
	}

	async #showRecordedFrame(level) {
		this.selected.value = { thread: this.recorded.value.thread, level };
		this.locals.value = tree.nodes(this.recorded.value.locals?.[level] ?? []);
		const place = this.frame.value ?? this.recorded.value.place;
		const look = this.#look;
		await this.#showSource(place, (take) => (answer) => look === this.#look && take(answer));
	}

	/** Back to the target as it is. */
	showNow() {
		if (this.recorded.value) {
			this.recorded.value = null;
			this.trouble.value = null; // as that nothing runs from there
			this.#forget();
		}
		const { state, stop } = this.state.value;
		if (state === 'stopped' && stop) {
			this.#show(stop.thread, 0, { threads: true, stack: true });
		}
	}

	#forget() {
		this.#look++;
		this.selected.value = NOTHING;
		for (const each of [this.threads, this.stack, this.locals, this.registers]) {
			each.value = [];
		}
		this.source.value = null;
	}

	// -- what the user wants -------------------------------------------------------------------------------------

	/** A command; what goes wrong is said. Returns whether it went well. */
	async command(what, fields = {}) {
		if (RUNS.has(what) && this.recorded.value) {
			this.#complain({ message: 'What is shown was recorded; the target stands elsewhere.', next: 'Go back to now first (Esc).' });
			return false;
		}
		this.trouble.value = null;
		this.busy.value = what;
		try {
			await this.ask(what, fields);
			return true;
		} catch (error) {
			this.#complain(error);
			return false;
		} finally {
			this.busy.value = '';
		}
	}

	/** A breakpoint of ours on a line, or none where there is one. */
	toggleBreakpoint(file, line) {
		const here = this.breakpoints.value.filter((each) => each.line === line && sameFile(each.file, file));
		const own = here.find(({ mine }) => mine);
		return own ? this.command('remove', { breakpoint: own.id }) : this.command('break_at', { file, line });
	}

	/** A breakpoint from what was typed: a function, or FILE:LINE. */
	addBreakpoint(text, condition) {
		const [, file, line] = /^(.+):(\d+)$/.exec(text.trim()) ?? [];
		const place = file ? { file, line: Number(line) } : { function: text.trim() };
		return this.command('break_at', condition.trim() ? { ...place, condition: condition.trim() } : place);
	}

	#complain = (error) => {
		this.trouble.value = { message: error?.message ?? String(error), next: error?.next ?? '' };
	};
}

/** Whether this is the same use of the wire, some time later: counts begin anew when the target is let run. */
function grown(before, now) {
	return before?.command === now.command && ['bytes_out', 'bytes_in', 'trips'].every((each) => now[each] >= before[each]);
}

/** Whether two paths name one file: the whole path, or a name without a directory as one types it. */
export function sameFile(one, other) {
	return one === other || (Boolean(one) && !one.includes('/') && basename(other) === one);
}
