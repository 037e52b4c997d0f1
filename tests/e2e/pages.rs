//! Replies of our own: a site's pages, browsers, programs.
