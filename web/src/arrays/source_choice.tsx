/** Which source is watched: of the sensor, of other CAN devices, an array, the demo. */

import { api, epoch } from "../bench";
import { t } from "../i18n";
import type { Source } from "./sources";
import { known, signals, told, unknown } from "./sources";
import { DEMO } from "./stream";
import { choose, isArray, terms } from "./terms";

const SENSOR = "les02.";

export function SourceChoice({ changed }: { changed: () => void }) {
  const all = known();
  const groups: [string, Source[]][] = [
    [t("ar_sensor"), all.filter(({ source }) => source.startsWith(SENSOR))],
    ...Object.entries(signals.value).map(([bus, found]): [string, Source[]] => [t("ar_bus", { bus }), found]),
    [t("ar_arrays"), all.filter(({ source }) => isArray(source))],
  ];
  const { source: chosen } = terms.value;
  const isListed = chosen === DEMO || groups.some(([, found]) => found.some(({ source }) => source === chosen));
  return (
    <div class="tools">
      <label>
        {t("ar_source")}
        <select
          value={chosen}
          onChange={(event) => {
            choose({ source: event.currentTarget.value });
            changed();
          }}
        >
          <option value={DEMO}>{t("ar_demo_of_all")}</option>
          {!isListed && <option value={chosen}>{chosen}</option>}
          {groups
            .filter(([, found]) => found.length > 0)
            .map(([title, found]) => (
              <optgroup key={title} label={title}>
                {found.map((each) => (
                  <option key={each.source} value={each.source}>
                    {nameOf(each)}
                  </option>
                ))}
              </optgroup>
            ))}
        </select>
      </label>
      {epoch.value !== null && api.value === "" && <span class="hint">{t("ar_sources_need_api")}</span>}
      {told.value?.more_signals && <span class="hint">{t("ar_more_signals")}</span>}
      {unknown.value && <span class="odd">{t("ar_sources_unknown")}</span>}
    </div>
  );
}

function nameOf({ source, name, unit }: Source): string {
  if (isArray(source)) return `${source.slice(source.indexOf(":") + 1)}: ${name || t("ar_nameless")}`;
  const words: Record<string, string> = {
    "les02.position": t("position"),
    "les02.velocity": t("velocity"),
    "les02.acceleration": t("ar_acceleration"),
  };
  return [words[source] ?? name ?? source, unit].filter(Boolean).join(" · ");
}
