// SPDX-License-Identifier: Apache-2.0
// Local variables: a tree that unfolds, by click or by arrows.
import { useRef } from 'preact/hooks';
import { visible } from '../text.js';
import { rows, unfolds } from '../tree.js';
import { Empty, Panel } from './panel.jsx';

export function Locals({ model }) {
	const shown = rows(model.locals.value);
	const old = !model.stopped.value && !model.recorded.value;
	const body = useRef(null);
	const press = (event, node, index) => {
		const go = { ArrowDown: index + 1, ArrowUp: index - 1 }[event.key];
		const turns = (event.key === 'ArrowRight' && !node.open) || (event.key === 'ArrowLeft' && node.open) || event.key === 'Enter';
		if (go !== undefined) {
			event.preventDefault();
			body.current.querySelectorAll('[role=treeitem]')[go]?.focus();
		} else if (turns && unfolds(node)) {
			event.preventDefault();
			model.toggle(node);
		}
	};
	return (
		<Panel name="Locals" class={old ? 'locals old' : 'locals'}>
			<div class="body" ref={body}>
				{shown.length === 0 && <Empty>{model.stopped.value ? 'No local variables here.' : 'Shown when the target stands.'}</Empty>}
				{shown.length > 0 && (
					<ul role="tree" aria-label="Local variables" class="rows">
						{shown.map((node, index) => (
							<li key={node.path} role="treeitem" aria-level={node.depth + 1} class={`row ${node.changed ? 'changed' : ''}`} style={{ '--depth': Math.min(node.depth, 12) }}
								aria-expanded={unfolds(node) ? node.open : undefined} tabIndex={index === 0 ? 0 : -1}
								onKeyDown={(event) => press(event, node, index)}
								onClick={() => unfolds(node) && !old && model.toggle(node)}>
								<span class="twist" aria-hidden="true">{unfolds(node) ? (node.open ? '▾' : '▸') : ''}</span>
								<span class="name">{visible(node.name)}</span>
								<span class="value">{visible(node.value)}</span>
								<span class="tag" title={visible(node.type)}>{visible(node.type)}</span>
							</li>
						))}
					</ul>
				)}
			</div>
		</Panel>
	);
}
