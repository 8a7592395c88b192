"""The style of the page and of what notebooks show; both are readable without it."""

STYLE = """\
.gradwright {
  --ink: #1c1d21; --soft: #62656e; --line: #dfe1e6; --card: #f6f7f9; --link: #1f5fbf;
  --mark: #fff3c4;
  color: var(--jp-content-font-color1, var(--ink));  /* a notebook's, where there is one */
  font: 16px/1.5 system-ui, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
  max-width: 62rem; margin: 0 auto; padding: 1.5rem 1rem 3rem;
}
.gradwright h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 .25rem; }
.gradwright h2 {
  font-size: 1.05rem; margin: 2rem 0 .5rem; padding-bottom: .25rem;
  border-bottom: 1px solid var(--line);
}
.gradwright p, .gradwright ul { margin: .4rem 0; }
.gradwright a { color: var(--link); text-decoration: none; }
.gradwright a:hover { text-decoration: underline; }
.gradwright math { font-size: 1.06em; }
.gradwright table { border-collapse: collapse; margin: 0; table-layout: auto; }
.gradwright td, .gradwright th { padding: .3rem .5rem; text-align: left; font-weight: normal; }
/* notebooks align the cells of all tables to the right, by a rule of two classes */
.gradwright.gradwright.gradwright :is(td, thead th) { text-align: left; }
.gradwright .wide { overflow-x: auto; }
.gradwright .lines { width: 100%; }
.gradwright tr:not(.steps) > * { vertical-align: baseline; }
.gradwright .lines th { text-align: right; white-space: nowrap; min-width: 3rem; width: 1%;
  padding-right: 0; }
.gradwright .lines .right { width: 46%; }
.gradwright .right { white-space: nowrap; padding-left: 0; }
.gradwright .shape { color: var(--soft); white-space: nowrap; width: 1%; }
.gradwright .from { color: var(--soft); font-size: .85rem; min-width: 14rem; }
.gradwright tr:target > *, .gradwright li:target { background: var(--mark); }
.gradwright .inline { list-style: none; padding: 0; display: flex; flex-wrap: wrap;
  gap: .25rem 1.75rem; }
.gradwright details { background: var(--card); border-radius: .5rem; padding: .35rem .8rem;
  margin: .1rem 0 .7rem; }
.gradwright .steps details { width: 0; min-width: 100%; box-sizing: border-box; }
.gradwright summary { cursor: pointer; color: var(--soft); font-size: .9rem; }
.gradwright details ol { margin: .5rem 0; padding-left: 2.2rem; }
.gradwright details li { margin: .6rem 0; padding: 0 .25rem; border-radius: .25rem; }
.gradwright details li::marker { color: var(--soft); }
.gradwright .why { font-size: .92rem; }
.gradwright .why b { font-weight: 600; }
.gradwright .proof th { white-space: nowrap; }
.gradwright .proof th, .gradwright .proof td { vertical-align: top; font-size: .92rem; }
.gradwright .equations th { text-align: right; white-space: nowrap; min-width: 3rem;
  padding-right: 0; }
.gradwright .equations td { text-align: left; }
.gradwright .said td { color: var(--soft); font-size: .92rem; padding-top: .8rem; }
.gradwright .blank mspace { border-bottom: 1.5px solid var(--ink); }
.gradwright .blank > mtext, .gradwright .answer > mtext { color: var(--soft); font-size: .7em; }
.gradwright .answer > mrow { background: var(--mark); border: 1px solid var(--soft);
  border-radius: .2rem; padding: .1rem .3rem; }
.gradwright dt { font-weight: 600; margin-top: .5rem; }
.gradwright dd { margin: 0 0 0 1.2rem; }
.gradwright dt:target, .gradwright dt:target + dd { background: var(--mark); }
@media (prefers-color-scheme: dark) {
  .gradwright {
    --ink: #e5e7eb; --soft: #a0a5b0; --line: #383c44; --card: #22252b; --link: #85b4ff;
    --mark: #4a4220;
  }
}
@media (max-width: 44rem) {
  .gradwright .lines, .gradwright .lines > tbody, .gradwright .lines > tbody > tr,
  .gradwright .steps > td, .gradwright .lines .from { display: block; }
  .gradwright .lines > tbody > tr > th, .gradwright .right, .gradwright .shape {
    display: inline-block; width: auto; min-width: 0; }
  .gradwright .lines .from { min-width: 0; padding-top: 0; }
}
@media print {
  .gradwright details, .gradwright .equations tr { break-inside: avoid; }
  .gradwright .said { break-after: avoid; }
  .gradwright h2 { break-after: avoid; }
}
"""

# only a page of its own has a background to set
PAGE_STYLE = """\
:root { color-scheme: light dark; }
body { margin: 0; background: #fff; }
@media (prefers-color-scheme: dark) { body { background: #16181c; } }
"""
