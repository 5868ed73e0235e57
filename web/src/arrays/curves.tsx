/** Rows or columns of an array as curves; of which more is fetched of what is zoomed into. */

import { useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { Chart, useZoom } from "../chart";
import type { Zoom } from "../chart";
import { number } from "../format";
import type { Key } from "../i18n";
import { t } from "../i18n";
import type { Look as ChartLook } from "../plot";
import { get } from "../rest";
import type { Answer, Curves, Rows } from "./look";
import { closer, curvesOf, merged, numbersOf, sliceOf } from "./look";
import { shortNumber } from "./picture";

const CALM_MS = 300;
const DOWN: [Key, Key, Key] = ["ar_every", "ar_closer", "ar_closest"];
const ACROSS: [Key, Key, Key] = ["ar_every_column", "ar_closer_columns", "ar_closest_columns"];

interface CurvesProps {
  index: number;
  answer: Answer;
  rows: Rows;
  across: boolean;
  shape: number[];
  beginning?: boolean;
}

export function CurvesOf({ index, answer, rows, across, shape, beginning = false }: CurvesProps) {
  const zoom = useZoom();
  const whole = useMemo(() => curvesOf(answer.data, rows, across), [answer]);
  const part = useCloser(index, rows, across, whole, zoom);
  const columns = useMemo(() => (part ? merged(whole.columns, part.columns) : whole.columns), [whole, part]);
  const shown = part ?? whole;
  const [, ...values] = whole.columns;
  const look: ChartLook = {
    title: t("ar_value"),
    xTitle: t("ar_number"),
    xValue: (value) => number(value),
    leastSpan: 1e-9,
    lines: values.map((_, index) => ({
      label: values.length === 1 ? t("ar_value") : t(across ? "ar_row" : "ar_column", { number: String(index) }),
      color: `--curve-${1 + (index % 8)}`,
      unit: "",
      digits: 4,
    })),
  };
  const told = () => {
    if (beginning) return t("ar_beginning", { count: values[0]?.length ?? 0 });
    const all = shape[across ? 1 : 0]!;
    const [every, closer, closest] = across ? ACROSS : DOWN;
    if (part) return t(part.rows.step > 1 ? closer : closest, part.rows);
    return rows.step > 1 && `${t(every, { step: rows.step, all })} ${t("ar_zoom")}`;
  };
  return (
    <>
      <Chart look={look} zoom={zoom} data={columns} class="low" />
      <p class="hint">
        {told()} <Statistics values={shown.columns.slice(1).flat()} curves={shown} />
      </p>
    </>
  );
}

type Part = Curves & { rows: Rows & Record<string, number> };

/** Null: the whole is shown, or all there is of it. */
function useCloser(index: number, rows: Rows, across: boolean, whole: Curves, zoom: Zoom): Part | null {
  const part = useSignal<Part | null>(null);
  useEffect(() => {
    let timer = 0;
    let latest = 0;
    const end = zoom.span.subscribe((span) => {
      clearTimeout(timer);
      const wanted = span && closer(rows, span, whole.columns.length - 1);
      latest += 1;
      if (!wanted) {
        part.value = null;
        return;
      }
      const asked = latest;
      timer = window.setTimeout(() => {
        get<Answer>(`/array/${index}`, { [across ? "cols" : "rows"]: sliceOf(wanted) }).then(
          (answer) => {
            if (asked === latest) part.value = { ...curvesOf(answer.data, wanted, across), rows: { ...wanted, to: wanted.to - 1 } };
          },
          () => undefined, // what is shown stays, and says what it is
        );
      }, CALM_MS);
    });
    return () => {
      clearTimeout(timer);
      latest += 1;
      end();
    };
  }, [index, rows, whole]);
  return part.value;
}

export function Statistics({ values, curves: { odd } }: { values: Iterable<number | null>; curves: Pick<Curves, "odd"> }) {
  const found = numbersOf(values);
  const words = found && {
    count: number(found.count),
    low: shortNumber(found.low),
    high: shortNumber(found.high),
    mean: shortNumber(found.mean),
    deviation: shortNumber(found.deviation),
  };
  return (
    <>
      {words && <span class="statistics">{t("ar_statistics", words)}</span>} {odd > 0 && <span class="odd">{t("ar_odd", { count: odd })}</span>}
    </>
  );
}
