// SPDX-License-Identifier: Apache-2.0
// Variables that unfold. A node is `{name, type, value, ref, path, depth, open, children, changed}`.

// What a name cannot hold, so that two paths are equal only if their names are.
const BETWEEN = '\0';

/** Variables as the session gave them, as nodes under a path. */
export function nodes(variables, parent = null, before = new Map()) {
	return variables.map((each, index) => {
		const path = `${parent ? parent.path + BETWEEN : ''}${each.name}#${index}`;
		return {
			...each,
			path,
			depth: parent ? parent.depth + 1 : 0,
			open: false,
			children: each.children ? nodes(each.children, { path, depth: parent ? parent.depth + 1 : 0 }) : null,
			changed: before.has(path) && before.get(path) !== each.value,
		};
	});
}

/** The rows that are seen: every node, and those in it where it is unfolded. */
export function rows(tree) {
	return tree.flatMap((node) => [node, ...(node.open && node.children ? rows(node.children) : [])]);
}

/** The tree with one node replaced by what `change` makes of it. */
export function changed(tree, path, change) {
	return tree.map((node) => {
		if (node.path === path) {
			return change(node);
		}
		const within = node.children && path.startsWith(node.path + BETWEEN);
		return within ? { ...node, children: changed(node.children, path, change) } : node;
	});
}

/** Whether there is anything to unfold. */
export function unfolds(node) {
	return node.ref !== null && node.ref !== undefined ? true : Boolean(node.children?.length);
}

/** Every value that is known, by path: what the next stop is compared with. */
export function values(tree, into = new Map()) {
	for (const node of tree) {
		into.set(node.path, node.value);
		values(node.children ?? [], into);
	}
	return into;
}
