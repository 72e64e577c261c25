// SPDX-License-Identifier: Apache-2.0
// What debugging costs on the wire: the last commands, and all of them.
import { short, visible } from '../text.js';
import { Empty, Panel } from './panel.jsx';

const SHOWN = 40;

export function Wire({ model }) {
	const { commands, total, utilisation } = model.wire.value;
	const last = commands.filter(cost).slice(-SHOWN).reverse(); // without those that have cost nothing (yet)
	const most = Math.max(1, ...last.map(cost));
	return (
		<Panel name="Wire" class="wire" note={typeof utilisation === 'number' && `${Math.round(utilisation * 100)} % busy`}>
			<div class="body" tabIndex={0} role="group" aria-label="Costs on the wire">
				{!total && <Empty>Nothing has been sent.</Empty>}
				{total && (
					<table class="grid">
						<thead>
							<tr><th scope="col">command</th><th scope="col" class="number">out</th><th scope="col" class="number">in</th>
								<th scope="col" class="number">trips</th><th scope="col" class="number" title="reads answered from what had been read">saved</th></tr>
						</thead>
						<tbody>
							<Row each={{ ...total, command: 'all' }} most={0} />
							{last.map((each, index) => <Row key={commands.length - index} each={each} most={most} />)}
						</tbody>
					</table>
				)}
			</div>
		</Panel>
	);
}

function Row({ each, most }) {
	return (
		<tr class={most ? '' : 'sum'}>
			<td>{visible(each.command) || <span class="dim">before</span>}{most > 0 && <meter class="cost" min={0} max={most} value={cost(each)} aria-hidden="true" />}</td>
			<td class="number">{short(each.bytes_out)}</td>
			<td class="number">{short(each.bytes_in)}</td>
			<td class="number">{short(each.trips)}</td>
			<td class="number saved">{short(each.saved)}</td>
		</tr>
	);
}

function cost({ bytes_out: out = 0, bytes_in: into = 0 }) {
	return out + into;
}
