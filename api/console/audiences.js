// Audiences: the best users for a product, previewed with a plot, and made.

import { call, may, me } from "./api.js";
import { askReason, field, fill, h, locked, notice, number, panel, percent, select, svg, table } from "./dom.js";
import { language, t } from "./texts.js";

const WRITE = "audiences:write";
let last = null;

export function audiences() {
  if (!may(WRITE)) return locked(WRITE);
  const place = h("div", {});
  const control = h("div", {});
  fill(control, products(), (all) => form(all, place));
  return [control, place];
}

/** The catalogue's products by name; without the right to read it, ids are typed. */
async function products() {
  return may("recommendations:read") ? (await call("products")).products : null;
}

function form(all, place) {
  const named = (one) => [one.product_id, one[`name_${language()}`] || one.product_id];
  const product = all ? select("product_id", all.map(named), last?.product_id) : h(
    "input",
    { name: "product_id", required: true, value: last?.product_id },
  );
  const channel = select(
    "channel",
    (me.channel ? [me.channel] : ["crm", "mobile", "web"]).map((one) => [one, t(`channel_${one}`)]),
    last?.channel,
  );
  const figure = (name, value, more) => h("input", { name, type: "number", value, required: true, ...more });
  const size = figure("size", last?.size ?? 1000, { min: 1, max: 1000000 });
  const least = figure("min_score", last?.min_score ?? 0, { min: 0, max: 1, step: "any" });
  const share = figure("control_share", last?.control_share ?? 0.1, { min: 0, max: 0.9, step: "any" });
  const days = figure("exclude_contacted_days", last?.exclude_contacted_days ?? 0, { min: 0, max: 30, step: "any" });
  const segments = h("input", { name: "segments", pattern: "[0-9, ]*", value: last?.segments.join(", ") || "" });
  const holders = h("input", { name: "exclude_holders", type: "checkbox", checked: last?.exclude_holders });
  const preview = (event) => {
    event?.preventDefault();
    last = {
      product_id: product.value,
      channel: channel.value,
      size: Number(size.value),
      min_score: Number(least.value),
      control_share: Number(share.value),
      exclude_contacted_days: Number(days.value),
      segments: (segments.value.match(/\d+/g) || []).map(Number),
      exclude_holders: holders.checked,
    };
    fill(place, call("audiences/preview", { body: last }), (told) => outcome(told, last, place));
  };
  return h(
    "form",
    { class: "panel form", onsubmit: preview },
    field(t("product"), product),
    field(t("channel"), channel),
    field(t("size"), size, t("sizeHint")),
    field(t("minScore"), least, t("minScoreHint")),
    field(t("controlShare"), share, t("controlHint")),
    field(t("contactedDays"), days),
    field(t("segmentsOnly"), segments, t("segmentsHint")),
    h("label", { class: "checkbox" }, holders, t("excludeHolders")),
    h("button", { class: "primary", type: "submit" }, t("preview")),
  );
}

function outcome({ snapshot_id, outcome: told }, order, place) {
  const make = () =>
    askReason({ title: t("make"), text: t("makeText"), action: t("make"), reason: "none" }, async () => {
      const made = await call("audiences", { body: order, scope: WRITE });
      notice(`${t("madeAudience")}: ${made.id}`);
      fill(
        place,
        Promise.resolve(made),
        (audience) => outcome({ snapshot_id: audience.snapshot_id, outcome: audience.outcome }, order, place),
      );
    });
  const button = h(
    "button",
    { class: "secondary", type: "button", onclick: make, disabled: told.size === 0 },
    t("make"),
  );
  const figure = (title, value, more = null) => h(
    "div",
    { class: "figure" },
    h("dt", {}, title),
    h("dd", {}, h("strong", {}, value), more && h("small", {}, more)),
  );
  const range = (one, digits) => `${t("interval")}: ${number(one.low, digits)} – ${number(one.high, digits)}`;
  const figures = h(
    "dl",
    { class: "figures" },
    figure(
      t("members"),
      number(told.members),
      told.control ? `+ ${number(told.control)}: ${t("control").toLowerCase()}` : null,
    ),
    figure(t("conversions"), number(told.conversions.expected, 1), range(told.conversions, 1)),
    figure(t("revenue"), `${number(told.revenue.expected)} ₽`, range(told.revenue, 0)),
    figure(t("minScore"), percent(told.least_score, 2)),
  );
  const shared = [
    [t("audience"), (one) => h("code", {}, one.audience_id)],
    [t("shared"), (one) => number(one.members), "number"],
  ];
  return panel(
    `${t("preview")}: ${order.product_id}`,
    { hint: snapshot_id, actions: [button], id: "preview" },
    told.short && h("p", { class: "warning", role: "status" }, h("b", {}, `${t("short")}: `), told.short),
    figures,
    h("h3", {}, t("scores")),
    told.scores.length ? h("figure", {}, h("figcaption", { class: "hint" }, t("scoresHint")), histogram(told.scores)) : h("p", { class: "empty" }, t("noMembers")),
    h("h3", {}, t("overlaps")),
    table(shared, told.overlaps, t("noOverlap")),
  );
}

const W = 720, H = 240, LEFT = 52, BOTTOM = 34, TOP = 12;

/** Bars of members by probability; what each says in full is its title, and the whole is told to those who see none. */
function histogram(scores) {
  const most = Math.max(...scores.map((one) => one.members), 1);
  const step = nice(most / 4);
  const top = Math.max(step, Math.ceil(most / step) * step);
  const width = (W - LEFT - 8) / scores.length;
  const y = (value) => TOP + (H - TOP - BOTTOM) * (1 - value / top);
  const lines = Array.from({ length: Math.round(top / step) + 1 }, (_, index) => index * step).map((value) => [
    svg("line", { x1: LEFT, x2: W - 8, y1: y(value), y2: y(value), class: "grid" }),
    svg("text", { x: LEFT - 8, y: y(value) + 4, class: "axis end" }, number(value)),
  ]);
  const spread = scores.length > 1 ? scores[1].least - scores[0].least : 0;
  const digits = spread > 0 ? Math.min(6, Math.max(0, 1 - Math.floor(Math.log10(spread * 100)))) : 1;
  const bars = scores.map((one, index) => {
    const label = `${percent(one.least, digits)} – ${percent(one.least + spread, digits)}: ${number(one.members)}`;
    return svg(
      "rect",
      { x: LEFT + index * width + 1.5, y: y(one.members), width: Math.max(1, width - 3), height: Math.max(0, y(0) - y(one.members)), rx: 2.5, class: "bar" },
      svg("title", {}, label),
    );
  });
  const every = Math.ceil(scores.length / 6);
  const labels = scores.map(
    (one, index) => index % every === 0 && svg(
      "text",
      { x: LEFT + index * width, y: H - 12, class: "axis" },
      percent(one.least, digits),
    ),
  );
  const told = `${t("scores")}: ${scores.map((one) => `${percent(one.least, digits)} ${number(one.members)}`).join(", ")}`;
  return svg("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": told, class: "plot" }, lines, bars, labels);
}

function nice(value) {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1)));
  return [1, 2, 5, 10].map((one) => one * power).find((one) => one >= value);
}
