/** The tab CAN: which bus is looked at, what is wrong with it, and one section of the workbench. */

import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";
import { api, epoch } from "../bench";
import type { Key } from "../i18n";
import { t, word } from "../i18n";
import { Board } from "./board_view";
import { about, bus, buses, busesUnknown, choose, chosen, followBuses } from "./buses";
import "./can.css";
import { Devices } from "./devices";
import { Files } from "./files";
import { Frames } from "./frame_table";
import { Recordings } from "./recordings";
import { Send } from "./send";
import { Statistics } from "./statistics";

interface Section {
  path: string;
  title: Key;
  view: () => ComponentChildren;
  /** Shown without the REST API as well. */
  alone?: boolean;
}

const SECTIONS: Section[] = [
  { path: "frames", title: "can_frames", view: () => <Frames />, alone: true },
  { path: "devices", title: "can_devices", view: () => <Devices /> },
  { path: "send", title: "can_send", view: () => <Send /> },
  { path: "files", title: "can_files", view: () => <Files /> },
  { path: "statistics", title: "can_statistics", view: () => <Statistics /> },
  { path: "board", title: "can_board", view: () => <Board /> },
  { path: "recordings", title: "can_recordings", view: () => <Recordings /> },
];

export function Can({ section = "frames" }: { section: string | undefined }) {
  useEffect(followBuses, []);
  const current = SECTIONS.find((each) => each.path === section) ?? SECTIONS[0]!;
  const works = api.value !== "";
  return (
    <article class="can">
      <nav class="sections" aria-label={t("can_parts")}>
        {SECTIONS.map(({ path, title }) => (
          <a key={path} href={`#/can/${path}`} aria-current={path === current.path ? "page" : undefined}>
            {t(title)}
          </a>
        ))}
      </nav>
      <Chooser />
      {epoch.value !== null && !works && <p class="hint needs-api">{t("can_needs_api")}</p>}
      {(works || current.alone) && current.view()}
    </article>
  );
}

const SIGNS: Record<string, string> = { bus_up: "●", bus_lost: "✖", failed: "✖" };

function Chooser() {
  const known = buses.value ?? [];
  return (
    <>
      {busesUnknown.value && (
        <p class="told bad" role="alert">
          {t("can_buses_unknown")}
        </p>
      )}
      <div class="buses" role="group" aria-label={t("can_bus")}>
        {known.map(({ name, state }) => (
          <button key={name} type="button" class={state} aria-pressed={name === chosen.value} onClick={() => choose(name)}>
            <span aria-hidden="true">{SIGNS[state] ?? "?"}</span> {name}
            <span class="for-readers"> {word("can_state", state)}</span>
          </button>
        ))}
        {buses.value !== null && known.length === 0 && <span class="hint">{t("can_no_bus")}</span>}
        {bus.value && <small class="hint">{about(bus.value)}</small>}
      </div>
      <div role="alert">
        {known
          .filter(({ state }) => state !== "bus_up")
          .map(({ name, state, reason }) => (
            <p key={name} class="told bad" data-bus={name}>
              {t(state === "failed" ? "can_bus_has_failed" : "can_bus_is_lost", { bus: name, reason })}
            </p>
          ))}
      </div>
    </>
  );
}
