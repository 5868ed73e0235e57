/** What is wrong, where nobody can overlook it. */

import { retryNow, wrong } from "./bench";
import type { Condition } from "./conditions";
import { t, word } from "./i18n";

const SIGNS = { bad: "✖", warn: "▲", info: "ℹ" } as const;

export function Banner() {
  return (
    // Assertive, since what is shown below may not be true any more.
    <div class="banner" role="alert">
      {wrong.value.map((condition, index) => (
        <p key={`${condition.key} ${index}`} class={condition.level} data-condition={condition.key}>
          <span aria-hidden="true">{SIGNS[condition.level]}</span> <span>{sentence(condition)}</span>
          {condition.key === "disconnected" && (
            <button type="button" onClick={retryNow}>
              {t("retry_now")}
            </button>
          )}
        </p>
      ))}
    </div>
  );
}

/** Names within a sentence are words, too. */
export function sentence({ key, args }: Condition): string {
  const named = { ...args };
  for (const [name, prefix] of [
    ["channel", "channel"],
    ["kind", "storing"],
    ["code", "error"],
    ["state", "state"],
  ] as const) {
    if (typeof named[name] === "string") named[name] = word(prefix, named[name]);
  }
  return t(key, named);
}
