/** The key to the bench: asked for where one is needed, kept by the browser. */

import { useSignal } from "@preact/signals";
import { bench, connectAgain, refused } from "./bench";
import { t } from "./i18n";
import { chooseToken, token } from "./settings";

export function TokenForm() {
  const typed = useSignal("");
  const enter = (event: Event) => {
    event.preventDefault();
    chooseToken(typed.value.trim());
    typed.value = "";
    connectAgain();
  };
  return (
    <form class="token" onSubmit={enter}>
      <label>
        {t("token")}
        <input
          type="password"
          autocomplete="off"
          value={typed.value}
          onInput={(event) => {
            typed.value = event.currentTarget.value;
          }}
        />
      </label>
      <button type="submit" disabled={!typed.value.trim() && !token.value}>
        {typed.value.trim() || !token.value ? t("token_enter") : t("token_forget")}
      </button>
    </form>
  );
}

/** In the frame of the page: who may only look is told so, and can change that. */
export function Rights() {
  if (refused.value || bench.value.epoch === null || (bench.value.mayChange && !token.value)) return null;
  return (
    <details class="rights">
      <summary>{t(bench.value.mayChange ? "may_change" : "may_read")}</summary>
      <TokenForm />
    </details>
  );
}
