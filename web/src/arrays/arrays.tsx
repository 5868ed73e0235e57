/** The tab Signals: numbers as they come, and the arrays that are kept. */

import { api, epoch } from "../bench";
import { t } from "../i18n";
import "./arrays.css";
import { List } from "./list";
import { Live } from "./live";

export function Arrays({ section }: { section: string | undefined }) {
  const isKept = section === "arrays";
  const needsApi = epoch.value !== null && api.value === "";
  return (
    <article class="arrays">
      <nav class="sections" aria-label={t("ar_parts")}>
        <a href="#/signals/live" aria-current={isKept ? undefined : "page"}>
          {t("live")}
        </a>
        <a href="#/signals/arrays" aria-current={isKept ? "page" : undefined}>
          {t("ar_arrays")}
        </a>
      </nav>
      {!isKept && <Live />}
      {isKept && (needsApi ? <p class="hint needs-api">{t("ar_needs_api")}</p> : <List />)}
    </article>
  );
}
