// SPDX-License-Identifier: Apache-2.0
import { useEffect, useState } from 'preact/hooks';

/** The inner size of an element, followed as it changes. */
export function useSize(element) {
	const [size, setSize] = useState({ width: 0, height: 0 });
	useEffect(() => {
		const observer = new ResizeObserver(([{ contentRect }]) =>
			setSize({ width: Math.floor(contentRect.width), height: Math.floor(contentRect.height) }));
		observer.observe(element.current);
		return () => observer.disconnect();
	}, []);
	return size;
}
