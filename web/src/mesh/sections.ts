/** A wide screen shows all sections, a narrow one the one that is chosen: the style sheet says so, too. */

import type { Key } from "../i18n";

export const SECTIONS: { path: string; title: Key }[] = [
  { path: "nodes", title: "ms_nodes" },
  { path: "traffic", title: "ms_traffic" },
  { path: "send", title: "ms_send" },
];

const narrow = window.matchMedia("(max-width: 1000px)");

/** Where all are seen nothing moves. `then` is done when it is there. */
export function show(section: string, then: () => void = () => undefined): void {
  const hash = `#/mesh/${section}`;
  if (!narrow.matches || location.hash === hash) {
    then();
    return;
  }
  window.addEventListener("hashchange", () => requestAnimationFrame(then), { once: true });
  location.hash = hash;
}
