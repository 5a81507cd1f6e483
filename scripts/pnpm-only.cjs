'use strict';
/** Runs before a package is packed or published: only pnpm replaces `workspace:*` by versions in its package.json. */

if (!process.env.npm_config_user_agent?.startsWith('pnpm/')) {
  console.error('Pack and publish with pnpm, as CONTRIBUTING.md says: npm leaves workspace:* in package.json.');
  process.exit(1);
}
