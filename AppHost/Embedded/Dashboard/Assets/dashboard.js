// The little that only the browser knows or does.
window.dashboard = {
  isDark() {
    const chosen = localStorage.getItem('dashboard-theme');
    return chosen ? chosen === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
  },
  setDark(isDark) {
    localStorage.setItem('dashboard-theme', isDark ? 'dark' : 'light');
  },
  // Keeps a list of lines at its end, unless the reader has scrolled up.
  follow(list) {
    let atEnd = true;
    list.addEventListener('scroll', () => { atEnd = list.scrollTop + list.clientHeight >= list.scrollHeight - 24; });
    new MutationObserver(() => { if (atEnd) list.scrollTop = list.scrollHeight; }).observe(list, { childList: true, subtree: true });
    list.scrollTop = list.scrollHeight;
  },
};
