/** Builds the console into files that a strict content policy lets run: no inline script or style, nothing from another host. */
import tailwindcss from '@tailwindcss/vite'
import react from '@vitejs/plugin-react'
import { defineConfig } from 'vite'

export default defineConfig({
  base: '/console/',
  plugins: [react(), tailwindcss()],
  build: {
    target: 'es2023',
    // The polyfill is for browsers that the target already leaves out.
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 700,
  },
})
