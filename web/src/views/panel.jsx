// SPDX-License-Identifier: Apache-2.0
// What every panel is made of.
import { useRef, useState } from 'preact/hooks';

/** A part of the page with a heading: a landmark for a screen reader. */
export function Panel({ name, class: kind = '', note, tools, children }) {
	const id = `panel-${name.toLowerCase().replace(/\W+/g, '-')}`;
	return (
		<section class={`panel ${kind}`} aria-labelledby={id}>
			<header class="top">
				<h2 id={id}>{name}</h2>
				{note && <span class="note">{note}</span>}
				{tools}
			</header>
			{children}
		</section>
	);
}

/** Panels of which one is seen: `tabs` is a list of [name, view]. Arrows go from one to the next. */
export function Tabs({ label, tabs }) {
	const [at, setAt] = useState(0);
	const list = useRef(null);
	const go = (event) => {
		const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
		if (step) {
			const next = (at + step + tabs.length) % tabs.length;
			setAt(next);
			list.current.children[next].focus();
		}
	};
	return (
		<section class="panel tabs" aria-label={label}>
			<div class="top" role="tablist" aria-label={label} ref={list} onKeyDown={go}>
				{tabs.map(([name], index) => (
					<button key={name} role="tab" id={`tab-${index}`} aria-selected={index === at} aria-controls={`tabpanel-${index}`}
						tabIndex={index === at ? 0 : -1} onClick={() => setAt(index)}>{name}</button>
				))}
			</div>
			{tabs.map(([name, view], index) => (
				<div key={name} class="body" role="tabpanel" id={`tabpanel-${index}`} aria-labelledby={`tab-${index}`}
					hidden={index !== at} tabIndex={0}>{index === at && view()}</div>
			))}
		</section>
	);
}

/** What stands where there is nothing to show. */
export function Empty({ children }) {
	return <p class="empty">{children}</p>;
}
