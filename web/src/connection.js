// SPDX-License-Identifier: Apache-2.0
// The page's socket: what the session tells, and questions with their answers. Opened again when it was lost.

const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 8000; // a laptop that wakes up finds its session within this
const MOST_PENDING = 24; // the session refuses more than 32 at once
const MOST_TRIES = 8; // a minute: who listens on the port later may be somebody else, and would get the cookie

// What a server closes with that has ended, or does not want this page: 1001 and 1012 are WebSocket's own.
const FINAL = { 1001: 'The web view has ended.', 1012: 'The web view has ended.', 4410: 'The session has ended.', 4429: 'Too many pages are open.' };

export class Connection {
	#open;
	#receive;
	#changed;
	#socket = null;
	#waiting = new Map();
	#number = 0;
	#pause = FIRST_PAUSE;
	#tries = 0;

	/**
	 * `open` makes a socket, or says why there can be none, `receive` gets each message that is no answer, `changed(there, why)` whether there is a
	 * connection: from the session's hello on. With a reason there is none until somebody calls `again`.
	 */
	constructor(open, receive, changed) {
		this.#open = open;
		this.#receive = receive;
		this.#changed = changed;
		this.#connect();
	}

	/** The result of a request; rejects with `{message, next}`. */
	ask(what, fields = {}) {
		if (this.#socket?.readyState !== 1) {
			return Promise.reject({ message: 'The page is not connected to the session.', next: '' });
		}
		const id = ++this.#number;
		return new Promise((resolve, reject) => {
			this.#waiting.set(id, { resolve, reject, text: JSON.stringify({ ...fields, id, do: what }), sent: false });
			this.#sendWaiting();
		});
	}

	/** As many as the session takes at once, in order. */
	#sendWaiting() {
		let sent = 0;
		for (const each of this.#waiting.values()) {
			if (!each.sent) {
				this.#socket.send(each.text);
				each.sent = true;
			}
			if (++sent === MOST_PENDING) {
				return;
			}
		}
	}

	/** Try again what was given up; an attempt that is under way is the only one. */
	again() {
		if (this.#socket) {
			return;
		}
		this.#pause = FIRST_PAUSE;
		this.#tries = 0;
		this.#connect();
	}

	#connect() {
		const socket = this.#open();
		if (typeof socket === 'string') {
			this.#changed(false, socket);
			return;
		}
		this.#socket = socket;
		socket.onmessage = (event) => this.#take(JSON.parse(event.data));
		socket.onclose = ({ code, reason }) => {
			const why = FINAL[code] ? reason || FINAL[code] : ++this.#tries > MOST_TRIES ? 'Nobody answers.' : '';
			this.#lost(why);
			if (why) {
				this.#socket = null;
				return;
			}
			setTimeout(() => this.#connect(), this.#pause);
			this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE);
		};
	}

	#take(message) {
		if (message.type === 'hello') {
			this.#pause = FIRST_PAUSE;
			this.#tries = 0;
			this.#changed(true, '');
		}
		const asked = this.#waiting.get(message.id);
		if (message.type !== undefined || asked === undefined) {
			if (message.type !== undefined) {
				this.#receive(message);
			}
			return;
		}
		this.#waiting.delete(message.id);
		this.#sendWaiting();
		if (message.error) {
			asked.reject(message.error);
		} else {
			asked.resolve(message.result);
		}
	}

	#lost(why) {
		this.#changed(false, why);
		for (const { reject } of this.#waiting.values()) {
			reject({ message: 'The connection to the session was lost before the answer came.', next: '' });
		}
		this.#waiting.clear();
	}
}
