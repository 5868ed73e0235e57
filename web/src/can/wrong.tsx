/** What is wrong with a field, at the field; the place is always there, for readers to know it. */

import { t } from "../i18n";
import type { Problem } from "./frame_form";

export function Wrong({ id, problem }: { id: string; problem: Problem | undefined }) {
  return (
    <span id={id} class="wrong">
      {problem && t(problem.key, problem.args)}
    </span>
  );
}
