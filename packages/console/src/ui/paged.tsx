/** A list that comes in pages: what to show while it loads, when it fails, when it is empty, and the way to more of it. */
import { useInfiniteQuery } from '@tanstack/react-query'
import type { InfiniteData, QueryKey, UseInfiniteQueryOptions } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { Button } from './button.tsx'
import { FailureNotice } from './notice.tsx'
import { Loading } from './page.tsx'

interface PageOf<Item> {
  readonly data: Item[]
  readonly next_cursor: string | null
}

interface PagedProps<Item> {
  readonly pages: UseInfiniteQueryOptions<PageOf<Item>, Error, InfiniteData<PageOf<Item>>, QueryKey, string | undefined>
  readonly empty: ReactNode
  readonly children: (items: readonly Item[]) => ReactNode
}

export function Paged<Item>({ pages, empty, children }: PagedProps<Item>) {
  const { data, error, isPending, hasNextPage, isFetchingNextPage, fetchNextPage } = useInfiniteQuery(pages)
  if (isPending) return <Loading />
  const items = data?.pages.flatMap((page) => page.data) ?? []
  return (
    <>
      {error !== null && <FailureNotice error={error} />}
      {items.length > 0 ? children(items) : error === null && empty}
      {hasNextPage && (
        <div className="mt-4 flex justify-center">
          <Button busy={isFetchingNextPage} onClick={() => void fetchNextPage()}>
            Show older
          </Button>
        </div>
      )}
    </>
  )
}
