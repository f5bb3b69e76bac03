// How the library looks: ComfyUI's own colours, so that it is dark where ComfyUI is, and light where it is light.
import { styled } from "./dom.js";

styled(`
.luma-ray-library { display: flex; flex-direction: column; height: 100%; min-height: 0; font-size: 13px; color:
  var(--fg-color, #eee); overflow-wrap: anywhere; }
.luma-ray-front, .luma-ray-inner { display: flex; flex-direction: column; flex: 1; min-height: 0; }
.luma-ray-front[hidden] { display: none; }
.luma-ray-filters { display: grid; grid-template-columns: minmax(0, 3fr) minmax(0, 2fr); gap: 4px; padding: 8px 8px
  4px; }
.luma-ray-more { grid-column: 1 / -1; }
.luma-ray-more summary { padding: 4px 0; cursor: pointer; font-size: 12px; line-height: 16px; }
.luma-ray-more div { display: grid; grid-template-columns: repeat(auto-fit, minmax(120px, 1fr)); gap: 4px;
  padding-top: 4px; }
.luma-ray-filters input, .luma-ray-filters select { min-width: 0; padding: 4px 6px; border-radius: 4px; font:
  inherit; border: 1px solid var(--border-color, #666); background: var(--comfy-input-bg, #333); color:
  var(--input-text, #eee); }
.luma-ray-filters :focus-visible, .luma-ray-rows:focus-visible, .luma-ray-take:focus-visible, .luma-ray-library
  summary:focus-visible, .luma-ray-inner pre:focus-visible { outline: 2px solid #3b82f6; outline-offset: -2px; }
.luma-ray-bar-of { display: flex; flex-wrap: wrap; gap: 4px; align-items: center; padding: 2px 8px 6px; }
.luma-ray-bar-of p { flex: 1; margin: 0; white-space: nowrap; }
.luma-ray-rows { position: relative; flex: 1; min-height: 180px; overflow: hidden auto; overflow-anchor: none;
  contain: strict; }
.luma-ray-space { position: relative; }
.luma-ray-row { position: absolute; inset: 0 0 auto; height: var(--luma-ray-row); box-sizing: border-box; display:
  flex; gap: 8px; padding: 6px 8px; border-bottom: 1px solid var(--border-color, #444); cursor: pointer; contain:
  content; }
.luma-ray-row:hover { background: color-mix(in srgb, currentColor 8%, transparent); }
.luma-ray-row[aria-selected=true] { background: color-mix(in srgb, #3b82f6 22%, transparent); }
.luma-ray-thumb { position: relative; flex: none; display: block; width: 108px; height: 61px; overflow: hidden;
  border-radius: 4px; background: color-mix(in srgb, currentColor 12%, transparent); }
.luma-ray-thumb img, .luma-ray-thumb video { position: absolute; inset: 0; width: 100%; height: 100%; object-fit:
  contain; }
.luma-ray-nothing { display: grid; place-items: center; height: 100%; padding: 4px; font-size: 11px; text-align:
  center; opacity: .85; }
.luma-ray-thumb img:not([src]) { visibility: hidden; }
.luma-ray-words { flex: 1; min-width: 0; }
.luma-ray-prompt { display: -webkit-box; -webkit-line-clamp: 2; -webkit-box-orient: vertical; overflow: hidden;
  line-height: 17px; max-height: 34px; }
.luma-ray-facts { font-size: 12px; line-height: 16px; opacity: .85; }
.luma-ray-words .luma-ray-facts { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.luma-ray-inner { overflow: hidden auto; }
.luma-ray-inner header { position: sticky; top: 0; z-index: 1; display: flex; gap: 8px; align-items: center; padding:
  6px 8px; background: var(--comfy-menu-bg, #222); border-bottom: 1px solid var(--border-color, #444); }
.luma-ray-inner h2 { flex: 1; min-width: 0; margin: 0; font-size: 14px; overflow: hidden; text-overflow: ellipsis;
  white-space: nowrap; }
.luma-ray-inner h3 { margin: 12px 0 6px; font-size: 13px; }
.luma-ray-details, .luma-ray-spending { padding: 8px; }
.luma-ray-details p { margin: 6px 0; }
.luma-ray-screen { display: flex; flex-direction: column; gap: 6px; align-items: start; }
.luma-ray-screen img, .luma-ray-screen video { width: 100%; max-height: 50vh; aspect-ratio: var(--luma-ray-shape);
  object-fit: contain; border-radius: 4px; background: #000; }
.luma-ray-screen img:not([src]) { visibility: hidden; }
.luma-ray-acts { display: flex; flex-wrap: wrap; }
.luma-ray-full { white-space: pre-wrap; }
.luma-ray-takes { display: grid; grid-template-columns: repeat(auto-fill, minmax(124px, 1fr)); gap: 8px;
  margin-bottom: 6px; }
.luma-ray-take { display: flex; flex-direction: column; gap: 4px; padding: 4px; border: 1px solid var(--border-color,
  #666); border-radius: 6px; background: transparent; color: inherit; font: inherit; font-size: 12px; text-align:
  start; cursor: pointer; }
.luma-ray-take[aria-current] { border-color: #3b82f6; box-shadow: inset 0 0 0 1px #3b82f6; }
.luma-ray-take .luma-ray-thumb { width: 100%; height: auto; aspect-ratio: 16 / 9; }
.luma-ray-inner details { margin: 10px 0; }
.luma-ray-inner summary { padding: 4px 0; cursor: pointer; line-height: 16px; }
.luma-ray-inner pre { margin: 6px 0; padding: 6px; overflow: auto; font-size: 12px; border: 1px solid
  var(--border-color, #666); border-radius: 4px; }
.luma-ray-inner dl { display: grid; grid-template-columns: auto 1fr; gap: 2px 10px; margin: 10px 0; }
.luma-ray-inner dt { opacity: .85; }
.luma-ray-inner dd { margin: 0; }
.luma-ray-spending table { width: 100%; margin-bottom: 14px; border-collapse: collapse; }
.luma-ray-spending caption { padding: 4px 0; font-weight: 600; text-align: start; }
.luma-ray-spending th, .luma-ray-spending td { padding: 3px 6px 3px 0; font-weight: normal; text-align: start;
  vertical-align: top; overflow-wrap: normal; }
.luma-ray-spending td { white-space: nowrap; }
.luma-ray-spending td:first-of-type { width: 50%; }
.luma-ray-bar { display: block; height: 5px; margin-top: 2px; border-radius: 3px; background: #3b82f6; }
@media (prefers-reduced-motion: no-preference) { .luma-ray-row { transition: background .1s; } }
`);
