/** A quick look at an array: a curve, a picture, or a small table. */

import { useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { Refusal } from "../connection";
import { t, word } from "../i18n";
import { get, textOf } from "../rest";
import { CurvesOf, Statistics } from "./curves";
import type { Entry } from "./library";
import type { Answer, Plan } from "./look";
import { beginningOf, gridOf, planOf, sliceOf, tableOf, textOfValue } from "./look";
import { Heat } from "./picture";

const CUT = 1000;
/** Characters in which the wanted numbers are, surely. */
const LONG_NUMBER = 26;

interface Seen {
  plan: Plan;
  answer: Answer;
}

export function Look({ entry }: { entry: Entry }) {
  const { index, shape, dtype, octets } = entry;
  const layer = useSignal(0);
  const seen = useSignal<Seen | null>(null);
  const wrong = useSignal("");
  const plan = useMemo(() => planOf(shape, dtype, octets, layer.value), [index, layer.value]);
  useEffect(() => {
    let left = false;
    wrong.value = "";
    ask(index, plan).then(
      (answer) => {
        if (!left) seen.value = { plan, answer };
      },
      (error: unknown) => {
        if (!(error instanceof Refusal)) throw error;
        if (!left) wrong.value = error.reason || word("refusal", error.code);
      },
    );
    return () => {
      left = true;
    };
  }, [plan]);
  const layers = plan.kind === "picture" ? plan.layers : 1;
  return (
    <div class="look">
      {layers > 1 && (
        <label>
          {t("ar_layer", { count: layers })}{" "}
          <input
            type="number"
            min="0"
            max={layers - 1}
            value={layer.value}
            onInput={(event) => {
              const wanted = event.currentTarget.valueAsNumber;
              if (Number.isInteger(wanted) && wanted >= 0 && wanted < layers) layer.value = wanted;
            }}
          />
        </label>
      )}
      {wrong.value && (
        <p class="told bad" role="alert">
          {wrong.value}
        </p>
      )}
      {seen.value === null ? !wrong.value && <p class="hint">{t("loading")}</p> : <Found index={index} seen={seen.value} shape={shape} />}
    </div>
  );
}

async function ask(index: number, plan: Plan): Promise<Answer> {
  const path = `/array/${index}`;
  if (plan.kind === "empty" || plan.kind === "too_wide") return { shape: [], dtype: "", data: [] };
  if (plan.kind === "value") return get<Answer>(path);
  if (plan.kind === "curves" && plan.across) return get<Answer>(path, { cols: sliceOf(plan.rows) });
  const query = { rows: sliceOf(plan.rows), ...(plan.kind === "picture" ? { cols: sliceOf(plan.cols) } : {}) };
  if (plan.kind !== "beginning") return get<Answer>(path, query);
  const { text } = await textOf(path, query, LONG_NUMBER * plan.count);
  return { shape: [plan.count], dtype: "", data: beginningOf(text, plan.count) };
}

function Found({ index, seen: { plan, answer }, shape }: { index: number; seen: Seen; shape: number[] }) {
  switch (plan.kind) {
    case "empty":
      return <p class="hint">{t("ar_empty")}</p>;
    case "too_wide":
      return <p class="hint">{t("ar_too_wide")}</p>;
    case "value":
      return <p class="value">{cut(textOfValue(answer.data, answer.dtype))}</p>;
    case "curves":
      return <CurvesOf index={index} answer={answer} rows={plan.rows} across={plan.across} shape={shape} />;
    case "beginning":
      return <CurvesOf index={index} answer={answer} rows={plan.rows} across={false} shape={shape} beginning />;
    case "picture":
      return <PictureOf answer={answer} plan={plan} shape={shape} />;
    case "table":
      return <TableOf answer={answer} shape={shape} />;
  }
}

function PictureOf({ answer, plan, shape }: { answer: Answer; plan: Plan & { kind: "picture" }; shape: number[] }) {
  const grid = useMemo(() => gridOf(answer.data, shape.length), [answer]);
  const isPlane = shape.length === 2;
  const { rows, cols } = isPlane ? plan : { rows: plan.cols, cols: { step: 1 } };
  return (
    <>
      <Heat grid={grid} rowStep={rows.step} columnStep={cols.step} />
      <p class="hint">
        {rows.step > 1 && t("ar_every", { step: rows.step, all: shape[isPlane ? 0 : 1]! })}{" "}
        {cols.step > 1 && t("ar_every_column", { step: cols.step, all: shape[1]! })} {shape.length > 3 && t("ar_first_plane")}{" "}
        <Statistics values={grid.values} curves={grid} />
      </p>
    </>
  );
}

function TableOf({ answer, shape }: { answer: Answer; shape: number[] }) {
  const { head, rows, more } = tableOf(answer);
  const left = shape[0]! - rows.length;
  return (
    <>
      <div class="scroll" tabIndex={0} role="region" aria-label={t("ar_values")}>
        <table class="values">
          <thead>
            <tr>
              <th scope="col">{t("ar_number")}</th>
              {head.map((each, index) => (
                <th key={index} scope="col">
                  {each || t("ar_value")}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map((row) => (
              <tr key={row.number}>
                <th scope="row">{row.number}</th>
                {row.cells.map((cell, index) => (
                  <td key={index}>{cut(cell)}</td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p class="hint">
        {left > 0 && t("ar_more_rows", { count: left })} {more > 0 && t("ar_more_columns", { count: more })}
      </p>
    </>
  );
}

function cut(text: string): string {
  return text.length > CUT ? `${text.slice(0, CUT)} …` : text;
}
