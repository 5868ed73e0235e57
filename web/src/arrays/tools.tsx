/** How it is watched: how much, how often, over how many the mean; start, stop, pause. */

import { number } from "../format";
import type { Key } from "../i18n";
import { t } from "../i18n";
import type { Stream } from "./stream";
import { DEMO } from "./stream";
import type { Terms } from "./terms";
import { choose, isArray, RATES, SPANS, terms, wantedOf, WINDOWS } from "./terms";

interface Props {
  stream: Stream;
  paused: boolean;
  begin: () => void;
  pause: () => void;
  /** Of what is asked of the listener. */
  changed: () => void;
}

export function Tools({ stream, paused, begin, pause, changed }: Props) {
  const { streaming } = stream.state.value;
  const { source, loop } = terms.value;
  const isOpen = stream.link.value.state === "open";
  const isDemo = source === DEMO;
  const { window, rate } = wantedOf(terms.value);
  const turn = (what: Partial<Terms>) => {
    choose(what);
    changed();
  };
  return (
    <div class="tools">
      <button type="button" disabled={!isOpen} onClick={() => (streaming ? stream.end() : begin())}>
        {t(streaming ? (isDemo ? "ar_stop_for_all" : "ar_stop") : isDemo ? "ar_start_for_all" : "ar_start")}
      </button>
      <button type="button" aria-pressed={paused} onClick={pause}>
        {t("ar_pause")}
      </button>
      {!isDemo && (
        <>
          <Choice title="ar_window" among={WINDOWS} chosen={terms.value.window} choose={(value) => turn({ window: value })} />
          <Choice title="ar_rate" among={RATES} chosen={rate} choose={(value) => turn({ rate: value })} />
        </>
      )}
      <Choice title="ar_span" among={SPANS} chosen={terms.value.span} choose={(value) => choose({ span: value })} />
      {isArray(source) && (
        <>
          <label>
            <input type="checkbox" checked={loop} onChange={(event) => turn({ loop: event.currentTarget.checked })} />
            {t("ar_loop")}
          </label>
          <span class="hint">{t("ar_speed", { count: number(window * rate) })}</span>
        </>
      )}
    </div>
  );
}

interface ChoiceProps {
  title: Key;
  among: number[];
  chosen: number;
  choose: (value: number) => void;
}

function Choice({ title, among, chosen, choose }: ChoiceProps) {
  return (
    <label>
      {t(title)}
      <select value={chosen} onChange={(event) => choose(Number(event.currentTarget.value))}>
        {among.map((each) => (
          <option key={each} value={each}>
            {number(each)}
          </option>
        ))}
      </select>
    </label>
  );
}
