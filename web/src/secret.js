// SPDX-License-Identifier: Apache-2.0
// What opens the socket: it comes behind the # of the first address, and stays in this tab, for this port alone.

const NAME = 'nullmodem';

export const NO_SECRET = 'This tab was not let in. Open the address that nullmodem printed.';

/** The secret, from the address, where it does not stay, or from when this tab was first opened; null without one. */
export function keptSecret(location, history, storage) {
	if (location.hash.length > 1) {
		storage.setItem(NAME, location.hash.slice(1));
		history.replaceState(null, '', location.pathname);
	}
	return storage.getItem(NAME);
}
