import { render } from 'preact';
import './styles/tokens.css';
import './styles/base.css';
import './styles/shell.css';
import './styles/controls.css';
import './styles/content.css';
import 'uplot/dist/uPlot.min.css';
import './state/theme.ts';
import { App } from './app.tsx';
import { preferredLanguage, showLanguage } from './i18n/language.ts';
import { useLink } from './state/session.ts';

const root = document.getElementById('root');
if (root === null) throw new Error('index.html has no root');
await Promise.all([showLanguage(preferredLanguage()), useLink()]);
render(<App />, root);
