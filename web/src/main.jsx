// SPDX-License-Identifier: Apache-2.0
// Puts the page together: socket, model, console, views.
import { render } from 'preact';
import { Connection } from './connection.js';
import { Model } from './model.js';
import { keepPolicy } from './policy.js';
import { NO_SECRET, keptSecret } from './secret.js';
import { Console } from './terminal.js';
import { App } from './views/app.jsx';
import { inOrder } from './typing.js';
import './style.css';

keepPolicy(document);

const secret = keptSecret(location, history, sessionStorage);
const scheme = location.protocol === 'https:' ? 'wss' : 'ws';
const terminal = new Console(inOrder((text) => model.command('type', { text })));
const model = new Model(
	(what, fields) => connection.ask(what, fields),
	(text) => terminal.write(text),
	() => terminal.clear(),
	(draw) => requestAnimationFrame(draw),
);
const connection = new Connection(
	() => (secret ? new WebSocket(`${scheme}://${location.host}/socket`, ['nullmodem', secret]) : NO_SECRET),
	(message) => model.receive(message),
	(there, why) => model.connection(there, why),
);

render(<App model={model} terminal={terminal} again={() => connection.again()} />, document.getElementById('page'));
