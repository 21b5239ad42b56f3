"""The page's looks: light and dark, wide and narrow, on a screen and on paper."""

from ..pages import BASE_STYLE

STYLE = (
    BASE_STYLE
    + """
:root { --flip: light-dark(#7a3ea8, #cfa3f2); }
html { scroll-padding: 14rem 0 5rem; }
header, main { padding: 0 1.25rem; max-width: 100rem; margin: 0 auto; }
h1 { font-size: 1.5rem; margin: 1.25rem 0 .35rem; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 1.5rem 0 .6rem; overflow-wrap: anywhere; }
.facts { color: var(--faint); font-size: .9rem; }
.facts span + span::before { content: "·"; margin: 0 .5em; }
.note { margin: .75rem 0; padding: .6rem .8rem; border-left: 3px solid var(--wrong); background: var(--card);
  overflow-wrap: anywhere; }
.tools { position: sticky; top: 0; z-index: 2; background: var(--paper); border-bottom: 1px solid var(--line);
  padding: .75rem max(1.25rem, calc((100% - 100rem) / 2 + 1.25rem)) .5rem; margin-top: .75rem; }
.tabs, .filters { display: flex; flex-wrap: wrap; gap: .5rem; }
.more { margin-top: .6rem; }
summary { display: none; }
.filters { gap: .5rem .9rem; align-items: end; }
label { display: grid; gap: .15rem; font-size: .8rem; color: var(--faint); }
label.check { display: flex; align-items: center; gap: .35rem; min-height: 2.1rem; font-size: .9rem; color: var(--ink); }
input:not([type=checkbox]), select, .tabs button, #reset, footer button {
  min-height: 2.1rem; padding: .25rem .6rem; border: 1px solid var(--line); border-radius: .45rem; background: var(--card);
  color: var(--ink); max-width: 100%; }
input[type=number] { width: 4.2rem; }
input[type=search] { width: 11rem; }
#class { max-width: 12rem; }
.tabs button[aria-pressed=true], button.main { background: var(--main); border-color: var(--main); color: var(--on-main); }
#count { color: var(--faint); font-size: .85rem; margin-top: .45rem; }
#nothing { padding: 2rem 0; color: var(--faint); }
main { padding-bottom: 6rem; }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(8.5rem, 1fr)); gap: .75rem; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; padding: .5rem; min-width: 0;
  display: flex; flex-direction: column; gap: .25rem; position: relative; }
.card.fixed { border-color: var(--done); box-shadow: 0 0 0 1px var(--done); }
.picture { display: grid; place-items: center; width: 100%; aspect-ratio: 1; padding: 0; border: 0; border-radius: .35rem;
  background: var(--empty); overflow: hidden; }
.picture img { width: 100%; height: 100%; object-fit: contain; }
.dropped .picture img { opacity: .45; }
.without { color: var(--faint); font-size: .8rem; }
.said { display: flex; justify-content: space-between; gap: .5rem; font-size: .9rem; }
.said b { font-weight: 600; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.said span { color: var(--faint); font-variant-numeric: tabular-nums; }
.bar { height: 3px; border-radius: 2px; background: linear-gradient(var(--main), var(--main)) no-repeat var(--empty);
  background-size: var(--share) 100%; }
.marks { display: flex; flex-wrap: wrap; gap: .25rem; }
.mark { font-size: .72rem; line-height: 1.3; padding: .05rem .35rem; border: 1px solid currentColor; border-radius: .7rem;
  color: var(--faint); max-width: 100%; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.flip { color: var(--flip); }
.wrong { color: var(--wrong); }
.fix { color: var(--done); font-weight: 600; }
.name { color: var(--faint); font-size: .75rem; overflow: hidden; text-overflow: ellipsis; white-space: nowrap;
  margin-top: auto; }
.card select { position: absolute; z-index: 1; top: .8rem; left: .8rem; width: calc(100% - 1.6rem); }
footer { position: fixed; inset: auto 0 0; z-index: 3; display: flex; flex-wrap: wrap; align-items: center; gap: .6rem;
  justify-content: end; padding: .7rem 1.25rem; background: var(--card); border-top: 1px solid var(--line); }
footer p { margin-right: auto; }
@media (max-width: 40rem) {
  header, main { padding: 0 .75rem; }
  .tools { padding: .5rem .75rem; position: static; }
  .tabs { display: grid; grid-template-columns: 1fr 1fr; }
  summary { display: list-item; padding: .3rem 0; color: var(--faint); }
  .filters { display: grid; grid-template-columns: 1fr 1fr; }
  .filters select, .filters input[type=search] { width: 100%; max-width: none; }
  html { scroll-padding-top: 1rem; }
  footer { padding: .6rem .75rem; gap: .4rem; font-size: .85rem; }
  .grid { grid-template-columns: repeat(auto-fill, minmax(6.5rem, 1fr)); gap: .5rem; }
}
@media print {
  :root { --flip: #5b2a82; }
  .tools, footer, noscript { display: none !important; }
  .card { break-inside: avoid; }
  h2 { break-after: avoid; }
  .grid { grid-template-columns: repeat(6, 1fr); }
  .dropped .picture img { opacity: 1; }
}
"""
)
