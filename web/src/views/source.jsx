// SPDX-License-Identifier: Apache-2.0
// The source of the frame that is shown.
import { useEffect, useRef } from 'preact/hooks';
import { Editor } from '../editor.js';
import { sameFile } from '../model.js';
import { basename, visible } from '../text.js';
import { Empty, Panel } from './panel.jsx';

export function Source({ model, cursor }) {
	const place = useRef(null);
	const editor = useRef(null);
	const source = model.source.value;
	const breakpoints = model.breakpoints.value;
	const how = source?.aside ? null : model.recorded.value ? 'recorded' : !model.stopped.value ? 'left' : model.selected.value.level > 0 ? 'caller' : 'current';
	useEffect(() => {
		editor.current = new Editor(place.current, (line) => {
			const shown = model.source.peek();
			if (shown && !shown.missing) {
				model.toggleBreakpoint(shown.file, line);
			}
		});
		cursor.line = () => editor.current.cursorLine;
	}, []);
	useEffect(() => {
		if (source) {
			const here = source.missing ? [] : breakpoints.filter((each) => sameFile(each.file, source.file));
			editor.current.show(source, here, how);
		}
	}, [source, breakpoints, how]);
	return (
		<Panel name="Source" class="source" note={source && <span title={visible(source.file)}>{title(source)}</span>}
			tools={<Files model={model} />}>
			{source?.missing && (
				<div class="missing">
					<b>No source{source.file ? ` of ${visible(basename(source.file))}` : ''}: instructions instead.</b>
					{source.looked?.length > 0 && <> Looked in {source.looked.map((each) => <code key={each}>{visible(each)}</code>)}</>}
				</div>
			)}
			{!source && <Empty>{model.stopped.value ? 'Reading…' : 'The source is shown when the target stops.'}</Empty>}
			<div class={`code ${source ? '' : 'unused'}`} ref={place} />
		</Panel>
	);
}

/** Any file whose lines are known: for a breakpoint before anything has stopped. */
function Files({ model }) {
	const files = model.files.value;
	return files.length > 0 && (
		<select class="files" aria-label="Open a source file" value="" onChange={(event) => {
			model.showFile(event.target.value);
			event.target.value = '';
		}}>
			<option value="">Open…</option>
			{[...files].sort(codeFirst).map(({ path, module }) => <option key={path} value={path}>{`${visible(basename(path))} · ${visible(module)}`}</option>)}
		</select>
	);
}

/** What is compiled before what is included, both by name. */
function codeFirst(one, other) {
	const rank = ({ path }) => `${path.endsWith('.h') ? 1 : 0}${basename(path)}`;
	return rank(one) < rank(other) ? -1 : 1;
}

function title({ file, line, missing }) {
	return file ? `${visible(basename(file))}${line && !missing ? `:${line}` : ''}` : '';
}
