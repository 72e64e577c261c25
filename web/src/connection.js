// SPDX-License-Identifier: Apache-2.0
// The page's socket: what the session tells, and questions with their answers. Opened again when it was lost.

const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 8000; // a laptop that wakes up finds its session within this

export class Connection {
	#open;
	#receive;
	#changed;
	#socket = null;
	#waiting = new Map();
	#number = 0;
	#pause = FIRST_PAUSE;

	/**
	 * `open` makes a socket, `receive` gets each message that is no answer, `changed` whether there is a connection.
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
			this.#waiting.set(id, { resolve, reject });
			this.#socket.send(JSON.stringify({ ...fields, id, do: what }));
		});
	}

	#connect() {
		const socket = this.#open();
		this.#socket = socket;
		socket.onopen = () => {
			this.#pause = FIRST_PAUSE;
			this.#changed(true);
		};
		socket.onmessage = (event) => this.#take(JSON.parse(event.data));
		socket.onclose = () => {
			this.#lost();
			setTimeout(() => this.#connect(), this.#pause);
			this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE);
		};
	}

	#take(message) {
		const asked = this.#waiting.get(message.id);
		if (message.type !== undefined || asked === undefined) {
			if (message.type !== undefined) {
				this.#receive(message);
			}
			return;
		}
		this.#waiting.delete(message.id);
		if (message.error) {
			asked.reject(message.error);
		} else {
			asked.resolve(message.result);
		}
	}

	#lost() {
		this.#changed(false);
		for (const { reject } of this.#waiting.values()) {
			reject({ message: 'The connection to the session was lost before the answer came.', next: '' });
		}
		this.#waiting.clear();
	}
}
