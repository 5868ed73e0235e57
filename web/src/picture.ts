/** A ride as a picture for a report: white, with title, specimen, date and axes, always of the same size. */

import type uPlot from "uplot";
import { ofRide } from "./course";
import { nameOf, save } from "./exports";
import { dateTime, directionText, fileName, number } from "./format";
import { t } from "./i18n";
import type { Columns, Look } from "./plot";
import { cssColor, drawPlot } from "./plot";
import type { KeptRide, Ride } from "./protocol";
import { looksOf } from "./ride";
import { partsOf } from "./signal_charts";

export const WIDTH = 1600;
export const HEIGHT = 1000;
const HEAD = 120;
const FOOT = 40;
const FONT_PX = 18;

interface Part {
  look: Look;
  data: Columns;
}

export async function savePicture({ ride, curve, signals = {} }: KeptRide): Promise<void> {
  const columns = ofRide(curve);
  const looks = looksOf(ride);
  const parts = [
    { look: looks.velocity, data: columns.velocity },
    { look: looks.position, data: columns.position },
    ...partsOf(signals, ride.summary.phases, columns.velocity[0] as number[]),
  ];
  await savePictureOf(t("ride_named", { number: String(ride.number) }), ride, parts, "");
}

export async function savePictureOf(title: string, ride: Ride, parts: Part[], suffix: string): Promise<void> {
  const canvas = draw(title, ride, parts);
  const blob = await new Promise<Blob | null>((done) => canvas.toBlob(done, "image/png"));
  if (blob !== null) save(blob, `${fileName(nameOf(ride), suffix)}.png`);
}

function draw(title: string, ride: Ride, parts: Part[]): HTMLCanvasElement {
  const canvas = document.createElement("canvas");
  canvas.width = WIDTH;
  canvas.height = HEIGHT;
  const context = canvas.getContext("2d")!;
  // The colours are those of paper, also on a dark screen.
  const paper = document.createElement("div");
  paper.className = "off-screen";
  paper.dataset.theme = "light";
  document.body.append(paper);
  try {
    context.fillStyle = cssColor("--paper", paper);
    context.fillRect(0, 0, WIDTH, HEIGHT);
    context.fillStyle = cssColor("--ink", paper);
    context.font = "600 34px system-ui, sans-serif";
    context.fillText(`${title} · ${ride.specimen || t("no_specimen")}`, 40, 56, WIDTH - 80);
    context.font = "22px system-ui, sans-serif";
    const facts = [
      dateTime(ride.start_ts),
      directionText(ride.direction),
      `${number(ride.distance_mm)} mm`,
      `${number(ride.summary.duration_s, 2)} s`,
      ride.note,
    ];
    context.fillText(facts.filter(Boolean).join(" · "), 40, 94, WIDTH - 80);
    const height = Math.floor((HEIGHT - HEAD - FOOT) / parts.length);
    parts.forEach(({ look, data }, index) => {
      const box = { left: 20, top: HEAD + index * height, width: WIDTH - 40, height };
      drawPlot(context, look, data as uPlot.AlignedData, box, FONT_PX);
    });
    drawLegend(context, parts[0]!.look, paper);
  } finally {
    paper.remove();
  }
  return canvas;
}

function drawLegend(context: CanvasRenderingContext2D, look: Look, paper: HTMLElement): void {
  const lines = look.lines.filter((line) => !line.edge);
  if (lines.length < 2) return;
  context.font = `${FONT_PX}px system-ui, sans-serif`;
  let left = 100;
  for (const line of lines) {
    context.strokeStyle = cssColor(line.color, paper);
    context.lineWidth = 4;
    context.setLineDash(line.dash ?? []);
    context.beginPath();
    context.moveTo(left, HEIGHT - 22);
    context.lineTo(left + 60, HEIGHT - 22);
    context.stroke();
    context.fillStyle = cssColor("--ink", paper);
    context.fillText(line.label, left + 70, HEIGHT - 15);
    left += 110 + context.measureText(line.label).width;
  }
  context.setLineDash([]);
}
