// In the book: links that lead out of it go to the repository. book.toml says why.
'use strict';

(function () {
    const repository = document.querySelector('a[title="Git repository"]');
    // Where the book is, and this page in it: mdBook sets `path_to_root` on each page.
    const root = new URL(path_to_root || './', document.location.href);
    const page = document.location.pathname.slice(root.pathname.length);
    for (const link of repository ? document.querySelectorAll('main a[href]') : []) {
        const path = outside(link.getAttribute('href'), page);
        if (path) {
            link.href = repository.href.replace(/\/$/, '') + '/blob/HEAD/' + path;
        }
    }
}());

// The path from the repository's root of what a page links to; null for what is in the book or elsewhere. The pages are those of
// docs/. A link to a page of Markdown has become one of HTML, also where no book is.
function outside(href, page) {
    const top = 'file:///';
    const url = new URL(href, top + 'docs/' + page);
    if (!url.href.startsWith(top) || url.href.startsWith(top + 'docs/')) {
        return null;
    }
    return (url.pathname.slice(1) + url.hash).replace(/\.html(?=#|$)/, '.md');
}
