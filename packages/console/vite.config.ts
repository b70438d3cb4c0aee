/** Builds the console into files that a strict content policy lets run: no inline script or style, nothing from another host. */
import tailwindcss from '@tailwindcss/vite'
import react from '@vitejs/plugin-react'
import { defineConfig } from 'vite'

export default defineConfig(({ command }) => {
  // Whoever builds may have another one set, a test run for instance; React would then be built with its warnings.
  if (command === 'build') process.env.NODE_ENV = 'production'
  return {
    base: '/console/',
    plugins: [react(), tailwindcss()],
    build: {
      target: 'es2023',
      // The polyfill is for browsers that the target already leaves out.
      modulePreload: { polyfill: false },
      chunkSizeWarningLimit: 700,
    },
  }
})
