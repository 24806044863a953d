# Installs the build into a folder of its own, then configures, builds and runs the consumer against it.
cmake_minimum_required(VERSION 3.25)

set(folder "${BUILD}/consumer")
file(REMOVE_RECURSE "${folder}")

function(run)
  execute_process(COMMAND ${ARGV} RESULT_VARIABLE result)
  if(NOT result EQUAL 0)
    list(JOIN ARGV " " command)
    message(FATAL_ERROR "failed (${result}): ${command}")
  endif()
endfunction()

run("${CMAKE_COMMAND}" --install "${BUILD}" --prefix "${folder}/installed")
run("${folder}/installed/bin/espalier" --version)
run("${CMAKE_COMMAND}" -S "${CMAKE_CURRENT_LIST_DIR}" -B "${folder}/build" -G "${GENERATOR}"
    "-DCMAKE_CXX_COMPILER=${COMPILER}" "-DCMAKE_CXX_FLAGS=${FLAGS}" "-DCMAKE_PREFIX_PATH=${folder}/installed")
run("${CMAKE_COMMAND}" --build "${folder}/build")
run("${folder}/build/consumer" "${folder}/tiny.onnx")
