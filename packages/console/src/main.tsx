/** Starts the console. The order matters: schemas are told not to compile, then the owner's token leaves the address bar, then the rest. */
import './app/no-eval.ts'
import { QueryClientProvider } from '@tanstack/react-query'
import { StrictMode, Suspense } from 'react'
import { createRoot } from 'react-dom/client'
import { arrive } from './app/arrival.ts'
import { Console } from './app/console.tsx'
import { takeOwnerToken } from './app/owner-token.ts'
import { queryClient } from './app/query-client.ts'
import { Loading } from './ui/page.tsx'
import './styles.css'

const arrival = arrive(takeOwnerToken(window.location, window.history))

createRoot(document.querySelector('#console')!).render(
  <StrictMode>
    <QueryClientProvider client={queryClient}>
      <Suspense fallback={<Loading />}>
        <Console arrival={arrival} />
      </Suspense>
    </QueryClientProvider>
  </StrictMode>,
)
