/** A sign for each state, for who sees no colours. */

export const SIGNS: Record<string, string> = { active: "●", idle: "◐", disconnected: "✖" };
export const ARROWS: Record<string, string> = { up: "▲", down: "▼", note: "·" };
