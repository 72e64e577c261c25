// SPDX-License-Identifier: Apache-2.0
// CodeMirror (style-mod) and xterm write their rules into <style> elements, and xterm colours of cells into `style`
// attributes; the page's Content-Security-Policy forbids both in whatever way they come. What it allows are sheets and
// properties that a script sets: this hands them over.

/** Makes elements of the document hand rules and attributes of style over. Before the libraries make any. */
export function keepPolicy(document) {
	const create = document.createElement.bind(document);
	document.createElement = (name, options) => {
		// Even an empty element of that name would be a violation: one that does nothing stands in its place.
		const element = create(name === 'style' ? 'template' : name, options);
		if (name === 'style') {
			const sheet = new CSSStyleSheet();
			document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
			Object.defineProperty(element, 'textContent', { set: (text) => sheet.replaceSync(text) });
		} else if (name === 'span') {
			element.setAttribute = (key, value) => {
				if (key === 'style') {
					element.style.cssText = value;
				} else {
					Element.prototype.setAttribute.call(element, key, value);
				}
			};
		}
		return element;
	};
}
