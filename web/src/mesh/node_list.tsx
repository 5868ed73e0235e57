/** The nodes, and which of them are looked for. */

import { api } from "../bench";
import { figure, t } from "../i18n";
import { Card } from "./card";
import type { Net } from "./net";
import type { Wanted } from "./nodes";
import type { State } from "./protocol";
import { STATES } from "./protocol";
import { SIGNS } from "./signs";

export function Nodes({ net }: { net: Net }) {
  const cells = net.cells.value;
  const counts = net.counts.value;
  const wanted = net.wanted.value;
  const all = STATES.reduce((sum, state) => sum + counts[state], 0);
  const want = (some: Partial<Wanted>) => {
    net.wanted.value = { ...wanted, ...some };
  };
  return (
    <section class="nodes" aria-labelledby="ms-nodes">
      <h2 id="ms-nodes">{t("ms_nodes")}</h2>
      <div class="tools">
        <div class="by-state" role="group" aria-label={t("ms_by_state")}>
          <Choice label={t("ms_all")} count={all} isOn={wanted.state === ""} choose={() => want({ state: "" })} />
          {STATES.map((state) => (
            <Choice
              key={state}
              state={state}
              label={t(`ms_state_${state}`)}
              count={counts[state]}
              isOn={wanted.state === state}
              choose={() => want({ state: wanted.state === state ? "" : state })}
            />
          ))}
        </div>
        <input
          type="search"
          class="filter"
          aria-label={t("ms_filter_nodes")}
          placeholder={t("ms_filter_nodes")}
          value={wanted.text}
          onInput={(event) => want({ text: event.currentTarget.value })}
        />
      </div>
      {cells.length === 0 && <p class="empty">{t(all > 0 ? "ms_none_fits" : net.isKnown.value ? "ms_no_nodes" : "loading")}</p>}
      <ul class="node-list">
        {cells.map((cell) => (
          <Card key={cell.node.addr} cell={cell} net={net} />
        ))}
      </ul>
      {api.value === "" && net.isKnown.value && <p class="hint">{t("ms_no_curves_of_before")}</p>}
    </section>
  );
}

interface ChoiceProps {
  state?: State;
  label: string;
  count: number;
  isOn: boolean;
  choose: () => void;
}

function Choice({ state, label, count, isOn, choose }: ChoiceProps) {
  return (
    <button type="button" data-choice={state ?? "all"} aria-pressed={isOn} onClick={choose}>
      {state && (
        <span class={`sign ${state}`} aria-hidden="true">
          {SIGNS[state]}
        </span>
      )}
      {label} <strong>{figure(count)}</strong>
    </button>
  );
}
