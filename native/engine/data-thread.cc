#include "data-thread.h"

#include <signal.h>

#include <utility>

namespace weft {

bool DataThread::start(const char* name, void (*body)(void*), void* context) {
  if (!mailbox_.wake().open()) return false;
  body_ = body;
  context_ = context;
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  running_ = pthread_create(&thread_, nullptr, enter, this) == 0;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (running_) pthread_setname_np(thread_, name);
  return running_;
}

void DataThread::stop() {
  if (!std::exchange(running_, false)) return;
  stopping_.store(true, std::memory_order_release);
  mailbox_.ring();
  pthread_join(thread_, nullptr);
}

void* DataThread::enter(void* self) {
  auto* thread = static_cast<DataThread*>(self);
  thread->body_(thread->context_);
  return nullptr;
}

}  // namespace weft
