/** A sentence at the lower edge for a few seconds, perhaps with a way back. */

import { signal } from "@preact/signals";
import { t } from "./i18n";

export const UNDO_MS = 7000;
const TELL_MS = 5000;

interface Toast {
  id: number;
  text: string;
  bad: boolean;
  undo: (() => void) | null;
}

const toasts = signal<Toast[]>([]);
let nextId = 0;

export function tell(text: string, more: { bad?: boolean; undo?: () => void; ms?: number } = {}): () => void {
  const toast = { id: ++nextId, text, bad: more.bad ?? false, undo: more.undo ?? null };
  toasts.value = [...toasts.value, toast].slice(-3);
  const close = () => {
    toasts.value = toasts.value.filter((each) => each.id !== toast.id);
  };
  setTimeout(close, more.ms ?? TELL_MS);
  return close;
}

export function Toasts() {
  return (
    <div class="toasts" role="status" aria-live="polite">
      {toasts.value.map((toast) => (
        <div key={toast.id} class={toast.bad ? "toast bad" : "toast"}>
          <span>{toast.text}</span>
          {toast.undo && (
            <button type="button" onClick={toast.undo}>
              {t("undo")}
            </button>
          )}
        </div>
      ))}
    </div>
  );
}
