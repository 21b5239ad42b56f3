"""The page's looks: light and dark, wide and narrow, on a screen and on paper."""

from ..pages import BASE_STYLE

STYLE = (
    BASE_STYLE
    + """
html { scroll-padding-top: 5rem; }
@media (prefers-reduced-motion: no-preference) { html { scroll-behavior: smooth; } }
body { font-size: 16px; line-height: 1.55; }
header, .bar, .body { padding-inline: max(1.25rem, calc((100% - 76rem) / 2)); }
h1 { font-size: 1.7rem; line-height: 1.25; letter-spacing: -.01em; margin: 2rem 0 .3rem; overflow-wrap: anywhere; }
h2 { font-size: 1.3rem; letter-spacing: -.005em; margin: 0 0 1rem; }
h3 { font-size: 1rem; font-weight: 600; margin: 0 0 .35rem; }
.made, .caption, caption, figcaption { color: var(--faint); font-size: .9rem; }
.made { overflow-wrap: anywhere; }
.made span + span::before { content: "·"; margin: 0 .5em; }
.skip { position: absolute; left: -100rem; }
.skip:focus { left: 1rem; top: .5rem; z-index: 5; background: var(--card); padding: .4rem .8rem; }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
.bar { position: sticky; top: 0; z-index: 3; display: flex; gap: 1rem; align-items: center; justify-content: space-between;
  padding-block: .55rem; margin-top: 1rem; background: var(--paper); border-block: 1px solid var(--line); font-size: .9rem; }
#filters { display: flex; flex-wrap: wrap; gap: .3rem 1.1rem; align-items: center; min-width: 0; }
fieldset { display: flex; flex-wrap: wrap; gap: .2rem .85rem; border: 0; margin: 0; padding: 0; min-width: 0; align-items: center; }
legend { float: left; padding: 0; margin-right: .2rem; color: var(--faint); }
.bar label { color: var(--faint); display: inline-flex; gap: .35rem; align-items: center; min-width: 0; }
fieldset label { color: var(--ink); }
fieldset i { width: .7rem; height: .7rem; border-radius: 50%; background: var(--own, transparent); }
fieldset i[data-color=""] { display: none; }
select, .bar button { min-height: 2rem; padding: .15rem .6rem; border: 1px solid var(--line); border-radius: .45rem;
  background: var(--card); color: var(--ink); max-width: 16rem; }
.body { display: grid; grid-template-columns: 13rem minmax(0, 1fr); gap: 2.5rem; padding-top: 1.5rem; }
nav { position: sticky; top: 5rem; align-self: start; max-height: calc(100vh - 6rem); overflow: auto; font-size: .9rem; }
nav ol { list-style: none; margin: 0; padding: 0; }
nav a { display: block; padding: .28rem .7rem; color: var(--faint); text-decoration: none; border-left: 2px solid var(--line); }
nav a:hover { color: var(--ink); }
nav a[aria-current] { color: var(--ink); border-color: var(--main); }
main { min-width: 0; padding-bottom: 4rem; outline: none; }
section { padding-bottom: 2.5rem; }
#story :is(section, .option, .folded, .choice) > * + * { margin-top: 1rem; }
.prose, .note, .warning, figcaption { max-width: 46rem; overflow-wrap: anywhere; }
.lead { font-size: 1.2rem; line-height: 1.5; max-width: 44rem; overflow-wrap: anywhere; }
.note, .warning { padding: .55rem .85rem; border-left: 3px solid var(--line); background: var(--card); font-size: .94rem; }
.warning { border-color: var(--wrong); }
.plot, .scroll, pre, .large > div { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; }
.plot { margin: 0; padding: .9rem 1rem .8rem; }
.plot .canvas { width: 100%; overflow: hidden; }
figcaption { margin-top: .4rem; }
details summary { cursor: pointer; color: var(--main); font-size: .92rem; width: fit-content; padding: .15rem 0; }
.numbers { margin-top: .4rem; }
.numbers .scroll { border: 0; border-radius: 0; max-height: 24rem; }
.scroll { overflow: auto; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; padding: .6rem .8rem .2rem; }
th, td { padding: .35rem .8rem; text-align: left; border-bottom: 1px solid var(--line); vertical-align: top; }
tbody tr:last-child > * { border-bottom: 0; }
thead th { color: var(--faint); font-weight: 500; white-space: nowrap; }
tbody th { font-weight: 500; min-width: 9rem; max-width: 22rem; overflow-wrap: break-word; }
td { overflow-wrap: anywhere; }
.n { text-align: right; white-space: nowrap; }
pre { margin: 0; padding: .8rem 1rem; overflow: auto; font: .85rem/1.5 ui-monospace, "SFMono-Regular", Menlo, Consolas, monospace; }
.large { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.2rem, 1fr)); gap: .8rem; margin: 0; }
.large > div { padding: .8rem 1rem; border-top: 3px solid var(--own, var(--line)); }
.large dt { color: var(--faint); font-size: .9rem; }
.large dd { margin: 0; font-size: 1.9rem; line-height: 1.25; font-weight: 600; letter-spacing: -.02em; font-variant-numeric: tabular-nums; }
.large small { display: block; letter-spacing: 0; line-height: 1.4; }
dl.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(15rem, 1fr)); gap: .1rem 1.5rem; margin: 0; font-size: .93rem; }
dl.facts > div { display: flex; gap: .7rem; justify-content: space-between; border-bottom: 1px solid var(--line); padding: .25rem 0; }
dl.facts dt { color: var(--faint); }
dl.facts dd { margin: 0; text-align: right; overflow-wrap: anywhere; min-width: 0; }
.choice > label { color: var(--faint); font-size: .9rem; }
.pictures { margin: 0; }
.pictures ul { list-style: none; display: grid; gap: .6rem; margin: .5rem 0 0; padding: 0;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, calc(1.8rem + var(--pictures) * 5.4rem)), 1fr)); }
.pictures li { display: flex; flex-wrap: wrap; gap: .5rem; justify-content: center; background: var(--card); border: 1px solid var(--line);
  border-radius: .5rem; padding: .5rem; text-align: center; }
.pictures li > span { width: 5.2rem; font-size: .74rem; line-height: 1.35; color: var(--faint); overflow-wrap: anywhere; }
.pictures img { display: block; width: 100%; aspect-ratio: 1; margin-bottom: .25rem; object-fit: contain; image-rendering: pixelated;
  background: var(--empty); border-radius: .3rem; }
.tree { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; padding: .8rem 1rem; font-size: .92rem; }
.tree ul { list-style: none; margin: 0; padding: 0; }
.tree li { position: relative; padding: .12rem 0 .12rem 1.4rem; overflow-wrap: anywhere; }
.tree li::before { content: ""; position: absolute; left: .3rem; top: 0; bottom: 0; border-left: 1px solid var(--line); }
.tree li:last-child::before { bottom: auto; height: .95rem; }
.tree li::after { content: ""; position: absolute; left: .3rem; top: .95rem; width: .7rem; border-top: 1px solid var(--line); }
.tree li b { font-weight: 600; margin-right: .4rem; }
.tree li li b { color: var(--faint); font-weight: 500; }
@media (max-width: 62rem) {
  .body { display: block; padding-top: .5rem; }
  nav { position: static; max-height: none; margin-bottom: 1.5rem; }
  nav ol { display: flex; flex-wrap: wrap; gap: .1rem .3rem; }
  nav a { border-left: 0; padding: .2rem .5rem .2rem 0; }
}
@media (max-width: 40rem) {
  html { scroll-padding-top: 1rem; }
  header, .bar, .body { padding-inline: .8rem; }
  .bar { position: static; align-items: start; }
  h1 { font-size: 1.4rem; margin-top: 1.2rem; }
  .lead { font-size: 1.08rem; }
  .plot { padding: .7rem .4rem; }
  .plot > h3, .plot > figcaption, .plot > details { padding-inline: .4rem; }
  .large { grid-template-columns: 1fr 1fr; }
  .large dd { font-size: 1.45rem; }
  th, td { padding: .3rem .5rem; }
  tbody th { min-width: 0; }
}
@media print {
  @page { margin: 15mm; }
  body { font-size: 10.5pt; }
  .bar, nav, noscript, .skip, .choice > label select, .modebar-container { display: none !important; }
  header, .body { padding-inline: 0; }
  .body { display: block; }
  h2, h3 { break-after: avoid; }
  .plot, tr, .large > div { break-inside: avoid; }
  .scroll, .numbers .scroll, pre { overflow: visible; max-height: none; }
  pre { white-space: pre-wrap; }
  section { padding-bottom: 1.2rem; }
}
"""
)
